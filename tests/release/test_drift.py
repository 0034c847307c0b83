"""What was changed by hand, as CloudFormation on this machine finds it, and as only AWS's can."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from release import drift, stacks
from release.aws import Aws
from tests.release.support import run

STACK = "CommentsFoundation-playground"
TEMPLATE = {
    "Resources": {
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/drift/log", "RetentionInDays": 30}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "drift"}},
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "drift"}},
    }
}


@pytest.fixture
def foundation(aws: Aws) -> Iterator[Aws]:
    """A stack of the playground's stage, with one resource that MiniStack does not compare."""
    aws.cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    stacks.settle(aws.cloudformation, STACK, lambda _: None)
    yield aws
    aws.cloudformation.delete_stack(StackName=STACK)


def test_a_stack_as_it_was_deployed_has_no_drift(
    foundation: Aws, project: Path, playground_environment: dict[str, str]
) -> None:
    del foundation
    done = run("release.drift", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 0, done.stdout
    assert f"{STACK}: no drift, 2 checked, 1 not checked\n  not checked: AWS::ECS::Cluster\n" in done.stdout
    assert "CommentsService-playground: is not deployed in this account" in done.stdout


def test_what_was_changed_or_deleted_by_hand_is_named(
    foundation: Aws, project: Path, playground_environment: dict[str, str]
) -> None:
    foundation.logs.put_retention_policy(logGroupName="/drift/log", retentionInDays=7)
    sns = foundation.untyped("sns")
    sns.delete_topic(TopicArn=f"arn:aws:sns:{foundation.region}:{foundation.account}:drift")
    done = run("release.drift", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 1, done.stdout
    assert f"{STACK}: 2 drifted" in done.stdout
    assert "Log (AWS::Logs::LogGroup /drift/log): /RetentionInDays is 7, the template says 30" in done.stdout
    assert ":drift): is gone" in done.stdout


def test_a_stage_that_is_not_deployed_is_an_error(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("release.drift", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "drift failed: playground is not deployed: run `make deploy ENV=playground`" in done.stdout


def rule(path: str, *, status: str = "MODIFIED", reason: str = "") -> dict[str, Any]:
    """What AWS's CloudFormation tells of a listener's rule."""
    difference = {"PropertyPath": path, "ExpectedValue": "100", "ActualValue": "0", "DifferenceType": "NOT_EQUAL"}
    return {
        "StackId": "arn:stack",
        "LogicalResourceId": "Production",
        "PhysicalResourceId": "arn:rule",
        "ResourceType": "AWS::ElasticLoadBalancingV2::ListenerRule",
        "StackResourceDriftStatus": status,
        "PropertyDifferences": [difference] if path else [],
        "Timestamp": "2026-01-01T00:00:00Z",
        **({"DriftStatusReason": reason} if reason else {}),
    }


def read(found: dict[str, Any]) -> drift.Report:
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
    with Stubber(client) as stubber:
        stubber.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": [found]})
        stubber.add_response("list_stack_resources", {"StackResourceSummaries": []})
        return drift.read(client, "stack")


def test_a_changed_property_is_named_with_both_values() -> None:
    report = read(rule("/Priority"))
    assert report.status == drift.DRIFTED
    assert "/Priority is 0, the template says 100" in report.drifted[0]


def test_what_cloudformation_could_not_compare_is_not_called_in_order() -> None:
    report = read(rule("", status="UNKNOWN", reason="access denied"))
    assert report.status == drift.UNKNOWN
    assert report.unknown[0].endswith("CloudFormation could not compare it: access denied")
