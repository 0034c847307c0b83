"""`make report` on two commits of the project, and which previews `make reap` destroys."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.stages import Stage
from release import preview
from release.aws import Aws
from release.errors import DeploymentError
from tests.release.conftest import TOPIC, commit_all, create_stack, nobody, run

STACKS = [
    "CommentsFoundation-pr-7",
    "CommentsService-pr-7",
    "CommentsFoundation-pr-8",
    "CommentsFoundation-dev",
    "x-pr-9",
]


@pytest.fixture
def stacks(aws: Aws) -> Iterator[Aws]:
    for name in STACKS:
        create_stack(aws, name, {"Topic": TOPIC})
    yield aws
    for name in STACKS:
        aws.cloudformation.delete_stack(StackName=name)


def outdated(aws: Aws, *, in_days: int) -> list[str]:
    return preview.outdated(aws.cloudformation, days=3, now=datetime.now(UTC) + timedelta(days=in_days))


def test_previews_alone_are_outdated_and_only_after_three_days(stacks: Aws) -> None:
    assert outdated(stacks, in_days=2) == []
    assert outdated(stacks, in_days=4) == ["pr-7", "pr-8"]
    stacks.cloudformation.delete_stack(StackName="CommentsFoundation-pr-8")
    assert outdated(stacks, in_days=4) == ["pr-7"]


def test_one_preview_that_cannot_be_destroyed_does_not_keep_the_others(
    stacks: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destroyed = []

    def destroy(stage: Stage, **_: str) -> None:
        destroyed.append(stage.name)
        if stage.name == "pr-7":
            raise DeploymentError("it resists")

    monkeypatch.setattr(preview, "destroy", destroy)
    monkeypatch.setattr(Aws, "of", lambda _stage: stacks)
    assert preview.reap(days=-1) == 1
    assert destroyed == ["pr-7", "pr-8"]
    assert "pr-7 remains: it resists" in capsys.readouterr().out


@pytest.fixture
def change(project: Path, tmp_path: Path) -> Path:
    """A copy of the project whose last commit gives dev's tasks more memory."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    stages = copy / "infra/stages.py"
    stages.write_text(stages.read_text().replace('Stage(name="dev", ', 'Stage(name="dev", memory=1024, '))
    commit_all(copy)
    return copy


def test_a_change_shows_its_templates_and_its_bill(change: Path, tmp_path: Path) -> None:
    done = run("release.preview", "report", "HEAD~1", cwd=change, environment=nobody(tmp_path))
    assert done.returncode == 0, done.stdout
    assert "**CommentsService-dev**" in done.stdout
    assert "[-] 512" in done.stdout
    assert "[+] 1024" in done.stdout
    assert "prod" not in done.stdout
    bill = done.stdout.split("**Monthly cost of dev**")[1]
    assert "\n- sum " in bill
    assert "\n+ sum " in bill
    assert (change / "build/report.md").read_text() == done.stdout


def test_a_commit_that_is_not_here_is_named(project: Path, tmp_path: Path) -> None:
    done = run("release.preview", "report", "nowhere", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no commit nowhere here: run `git fetch`, or set BASE" in done.stdout
