"""`make report` on two commits of the project."""

import shutil
from pathlib import Path

import pytest

from tests.release.conftest import commit_all, nobody, run


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
    done = run("release.report", "HEAD~1", cwd=change, environment=nobody(tmp_path))
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
    done = run("release.report", "nowhere", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no commit nowhere here: run `git fetch`, or set BASE" in done.stdout
