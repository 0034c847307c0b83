"""`make endpoint`, `make diff` and `make drift`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from release import deploy, stacks, status
from release.aws import Aws
from release.errors import CommandError, DeploymentError
from release.status import CHANGES, NO_CHANGES, UNKNOWN
from tests.release.conftest import nobody, run

STACK = "CommentsFoundation-playground"
TEMPLATE = {
    "Resources": {
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/drift/log", "RetentionInDays": 30}},
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "drift"}},
    }
}


@pytest.fixture
def foundation(aws: Aws) -> Iterator[Aws]:
    """A stack of the playground's stage, with one resource that MiniStack doesn't compare."""
    aws.cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    stacks.wait_until_stable(aws.cloudformation, STACK, lambda _: None)
    yield aws
    aws.cloudformation.delete_stack(StackName=STACK)


@pytest.mark.parametrize("command", ["endpoint", "diff", "drift"])
def test_an_unknown_stage_and_missing_credentials_exit_2(project: Path, tmp_path: Path, command: str) -> None:
    unknown = run("release.status", command, "prd", cwd=project, environment=nobody(tmp_path))
    assert unknown.returncode == 2
    assert unknown.stdout.startswith(f"{command} failed: unknown stage 'prd'")
    nobodys = run("release.status", command, "dev", cwd=project, environment=nobody(tmp_path))
    assert nobodys.returncode == 2
    assert "no AWS credentials" in nobodys.stdout


@pytest.mark.parametrize("command", ["endpoint", "drift"])
def test_a_stage_that_is_not_deployed_is_an_error(
    project: Path, playground_environment: dict[str, str], command: str
) -> None:
    done = run("release.status", command, "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "run `make deploy ENV=playground`" in done.stdout
    assert "http" not in done.stdout


@pytest.mark.usefixtures("foundation")
def test_what_is_not_checked_is_listed(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("release.status", "drift", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == NO_CHANGES, done.stdout
    assert f"{STACK}: not checked: AWS::ECS::Cluster\n" in done.stdout


def test_what_was_changed_by_hand_is_shown(
    foundation: Aws, project: Path, playground_environment: dict[str, str]
) -> None:
    foundation.logs.put_retention_policy(logGroupName="/drift/log", retentionInDays=7)
    done = run("release.status", "drift", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == CHANGES, done.stdout
    assert "RetentionInDays" in done.stdout


@pytest.mark.parametrize(
    ("found", "expected"), [("IN_SYNC", NO_CHANGES), ("NOT_CHECKED", NO_CHANGES), ("UNKNOWN", UNKNOWN)]
)
def test_a_resource_that_could_not_be_compared_is_not_called_unchanged(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: str, expected: int
) -> None:
    """`cdk drift` takes it for unchanged."""
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
    monkeypatch.setitem(aws.__dict__, "cloudformation", client)
    monkeypatch.setattr(Aws, "of", lambda _: aws)
    monkeypatch.setattr(stacks, "describe", lambda _, name: name == STACK)
    monkeypatch.setattr(deploy, "run", lambda *_, **__: [])
    resource: dict[str, Any] = {"LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic"}
    drifts = {"StackId": "x", "Timestamp": "2026-01-01", "StackResourceDriftStatus": found}
    listed = {
        "LastUpdatedTimestamp": "2026-01-01",
        "ResourceStatus": "CREATE_COMPLETE",
        "DriftInformation": {"StackResourceDriftStatus": found},
    }
    with Stubber(client) as stubber:
        unknown = [resource | drifts] if found == "UNKNOWN" else []
        stubber.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": unknown})
        stubber.add_response("list_stack_resources", {"StackResourceSummaries": [resource | listed]})
        assert status.drift(aws.stage) == expected
    assert ("Topic" in capsys.readouterr().out) is (found != "IN_SYNC")


@pytest.mark.parametrize("command", [status.diff, status.drift])
def test_a_failure_of_the_cli_is_not_reported_as_a_difference(
    foundation: Aws, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    """`--fail` exits with 1 for both."""
    monkeypatch.setattr(Aws, "of", lambda _: foundation)
    said = ["Number of stacks with differences: 1", "Number of resources with drift: 1"]

    def cdk(*_: object, **__: object) -> list[str]:
        raise CommandError("cdk ended with status 1", *said)

    monkeypatch.setattr(deploy, "run", cdk)
    assert command(foundation.stage) == CHANGES
    said[:] = ["Need to perform AWS calls for account 1, but no credentials"]
    with pytest.raises(DeploymentError):
        command(foundation.stage)
