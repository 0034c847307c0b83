"""Deleting stages, protection of prod, and make reap."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.stages import Stage
from release import destroy as module
from release.aws import Aws
from release.destroy import empty_bucket, outdated
from release.errors import DeploymentError, ReleaseError
from tests.infra.synthesis import templates
from tests.release.conftest import TOPIC, create_stack, nobody, run


def test_a_protected_stage_is_not_destroyed(project: Path, tmp_path: Path) -> None:
    done = run("release.destroy", "prod", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "set protect=False" in done.stdout


@pytest.fixture
def unprotected(project: Path, tmp_path: Path) -> Path:
    """A copy of the project whose prod protects nothing any more."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    stages = copy / "infra/stages.py"
    stages.write_text(stages.read_text().replace("protect=True", "protect=False"))
    return copy


@pytest.mark.parametrize("typed", ["", "yes"])
def test_prod_is_not_destroyed_without_its_name(unprotected: Path, tmp_path: Path, typed: str) -> None:
    done = run("release.destroy", "prod", cwd=unprotected, environment=nobody(tmp_path) | {"CONFIRM": typed})
    assert done.returncode == 2
    assert "prod was not destroyed: type its name" in done.stdout


def test_prod_is_destroyed_with_its_name(unprotected: Path, tmp_path: Path) -> None:
    done = run("release.destroy", "prod", cwd=unprotected, environment=nobody(tmp_path) | {"CONFIRM": "prod"})
    assert "no AWS credentials" in done.stdout  # it goes on to the account


@pytest.mark.parametrize(("typed", "destroyed"), [("prod", True), ("dev", False)])
def test_a_person_at_a_terminal_is_asked(unprotected: Path, tmp_path: Path, typed: str, destroyed: bool) -> None:
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "release.destroy", "prod"]
    process = subprocess.Popen(
        command, cwd=unprotected, env=nobody(tmp_path), stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    os.write(person, f"{typed}\n".encode())
    said = process.communicate(timeout=60)[0].decode()
    os.close(person)
    os.close(terminal)
    assert "Type its name to continue" in said
    assert ("no AWS credentials" in said) is destroyed
    assert ("prod was not destroyed" in said) is not destroyed


@pytest.mark.parametrize("stage", ["dev", "pr-1"])
def test_a_stage_that_is_destroyed_keeps_nothing_that_is_billed(stage: str) -> None:
    for template in (templates(stage).data, templates(stage).service):
        for name, resource in template.to_json()["Resources"].items():
            assert resource.get("DeletionPolicy", "Delete") == "Delete", name
            protection = resource.get("Properties", {}).get("DeletionProtectionEnabled", False)
            assert protection is False, name
            attributes = resource.get("Properties", {}).get("LoadBalancerAttributes", [])
            assert {"Key": "deletion_protection.enabled", "Value": "true"} not in attributes
    clusters = templates(stage).service.find_resources("AWS::ECS::Cluster").values()
    # Container Insights would write into a log group of its own, which ECS makes and nobody deletes
    assert [each["Properties"]["ClusterSettings"][0]["Value"] for each in clusters] == ["disabled"]


def test_a_stage_that_is_not_there_is_destroyed_already(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("release.destroy", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("not deployed") == 2


def test_objects_that_s3_does_not_delete_are_a_failure(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS responds to the deletion of many objects with 200 and a list of errors."""
    s3 = aws.untyped("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="alb/line", Body=b"a line")
    refusal = {"Errors": [{"Key": "alb/line", "Code": "AccessDenied", "Message": "Access Denied"}]}
    with monkeypatch.context() as patched:
        patched.setattr(s3, "delete_objects", lambda **_: refusal)
        patched.setattr(Aws, "untyped", lambda *_: s3)
        with pytest.raises(ReleaseError, match=r"1 of 1 objects of kept \(AccessDenied\).*s3:DeleteObject"):
            empty_bucket(aws, "kept")
    empty_bucket(aws, "kept")
    s3.delete_bucket(Bucket="kept")  # which fails for one that is not empty
    empty_bucket(aws, "kept")


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


def previews(aws: Aws, *, in_days: int) -> list[str]:
    return outdated(aws, days=3, now=datetime.now(UTC) + timedelta(days=in_days))


def test_previews_alone_are_outdated_and_only_after_three_days(stacks: Aws) -> None:
    assert previews(stacks, in_days=2) == []
    assert previews(stacks, in_days=4) == ["pr-7", "pr-8"]
    stacks.cloudformation.delete_stack(StackName="CommentsFoundation-pr-8")
    assert previews(stacks, in_days=4) == ["pr-7"]


def test_one_preview_that_cannot_be_destroyed_does_not_keep_the_others(
    stacks: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destroyed = []

    def destroy(stage: Stage, **_: str) -> None:
        destroyed.append(stage.name)
        if stage.name == "pr-7":
            raise DeploymentError("it resists")

    monkeypatch.setattr(module, "destroy", destroy)
    monkeypatch.setattr(Aws, "of", lambda _stage: stacks)
    assert module.reap(days=-1) == 1
    assert destroyed == ["pr-7", "pr-8"]
    assert "pr-7 remains: it resists" in capsys.readouterr().out
