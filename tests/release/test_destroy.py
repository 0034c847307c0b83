"""What a stage leaves behind, and what it refuses to lose."""

import os
import pty
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from release.aws import Aws
from release.destroy import empty_bucket
from tests.infra.synthesis import templates
from tests.release.support import nobody, run


def test_a_protected_stage_is_not_destroyed(project: Path, tmp_path: Path) -> None:
    done = run("release.destroy", "prod", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "prod protects its comments: set protect=False" in done.stdout


@pytest.fixture
def unprotected(project: Path, tmp_path: Path) -> Path:
    """A copy of the project whose prod protects nothing any more."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    stages = copy / "infra/stages.py"
    stages.write_text(stages.read_text().replace("protect=True", "protect=False"))
    return copy


def test_prod_is_not_destroyed_without_its_name(unprotected: Path, tmp_path: Path) -> None:
    for typed in ({}, {"CONFIRM": ""}, {"CONFIRM": "yes"}):
        done = run("release.destroy", "prod", cwd=unprotected, environment=nobody(tmp_path) | typed)
        assert done.returncode == 2
        assert "prod was not destroyed: type its name" in done.stdout
        assert "account" not in done.stdout  # nothing was even looked at


def test_prod_is_destroyed_once_its_name_is_typed(unprotected: Path, tmp_path: Path) -> None:
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
    assert "Type its name to go on" in said
    assert ("no AWS credentials" in said) is destroyed
    assert ("prod was not destroyed" in said) is not destroyed


@pytest.mark.parametrize("stage", ["dev", "pr-7"])
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
    assert done.returncode == 0
    assert done.stdout.count("is not there") == 2


def test_the_log_bucket_is_emptied_whatever_it_holds(aws: Aws) -> None:
    s3 = aws.untyped("s3")
    bucket = f"logs-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"alb/AWSLogs/{number}", Body=b"x")
    assert empty_bucket(aws, bucket) == 3
    s3.delete_bucket(Bucket=bucket)
    assert empty_bucket(aws, bucket) == 0
