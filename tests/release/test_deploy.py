"""Stacks that fail, are in use, or can't be updated, and releases that overtake each other."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from infra.config import STAGES
from release import deploy
from release.aws import Aws
from release.command import CommandError, DeploymentError, NotReadyError
from tests.release.account import TOPIC, Create

IMPOSSIBLE = {
    "Type": "AWS::Lambda::Function",
    "DependsOn": "Topic",
    "Properties": {"Role": {"Fn::GetAtt": ["Topic", "NoSuch"]}},
}


def test_a_failed_deployment_gives_cloudformations_reasons_and_no_older_ones(
    aws: Aws, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "it-fails"
    create(name)

    def update(*_: object, **__: object) -> None:
        template = json.dumps({"Resources": {"Topic": TOPIC, "Odd": IMPOSSIBLE}})
        aws.cloudformation.update_stack(StackName=name, TemplateBody=template)
        deploy.wait_until_stable(aws, name)
        raise CommandError("cdk deploy ended with status 1", "a line of the CLI")

    monkeypatch.setattr(deploy, "run", update)
    for _ in range(2):
        with pytest.raises(DeploymentError, match="the previous version still runs") as failed:
            deploy.deploy(aws, name)
        (reason,) = failed.value.details
        assert reason.startswith("Odd (AWS::Lambda::Function): ")
        assert "NoSuch" in reason
    _, outcome, failures = deploy.last_operation(aws, name)
    assert "the previous version still runs" in outcome
    assert failures == [reason]


def test_a_stack_that_could_not_delete_a_replaced_resource_is_not_blamed_for_the_failure_of_another(
    dev: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation skips such resources, as those of https://github.com/serverless/serverless/issues/9144."""
    states = {"registry": "UPDATE_COMPLETE", "service": "UPDATE_ROLLBACK_COMPLETE"}
    reasons = {"registry": ["Previews (AWS::ECR::Repository): not empty"], "service": ["Service: it failed"]}
    monkeypatch.setattr(deploy, "describe", lambda _, name: {"StackName": name, "StackStatus": states[name]})
    monkeypatch.setattr(deploy, "newest_event", lambda *_: None)
    monkeypatch.setattr(deploy, "failures_since", lambda _, name, __: reasons[name])
    monkeypatch.setattr(deploy, "run", Mock(side_effect=CommandError("cdk exited with status 1")))
    with pytest.raises(DeploymentError, match=r"^service: the deployment failed and was rolled back") as failed:
        deploy.deploy(dev, *states)
    assert failed.value.details == ("Service: it failed",)


def test_resources_that_remain_after_an_update_are_warned_of(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The update succeeds nevertheless. The line is that of CDK CLI 2.1148.1."""
    warning = (
        " ⚠️  Some resources failed to delete but were skipped. These resources may still exist and could incur charges."
        " Clean them up manually."
    )

    def cdk(*_: object, on_line: Callable[[str], object], **__: object) -> None:
        on_line("Registry | 2/3 | 10:00:00 AM | DELETE_FAILED (skipped) | AWS::ECR::Repository | Previews")
        on_line(warning)

    monkeypatch.setattr(deploy, "describe", lambda *_: None)
    monkeypatch.setattr(deploy, "run", cdk)
    deploy.deploy(dev, "Registry")
    said = capsys.readouterr().out
    assert "Clean them up manually. Lines with DELETE_FAILED in build/release.log name them." in said


def test_a_stack_whose_first_change_set_was_rejected_is_not_deployed(aws: Aws) -> None:
    """It is in REVIEW_IN_PROGRESS, and has no operation to explain."""
    template = json.dumps({"Resources": {"Topic": TOPIC}})
    aws.cloudformation.create_change_set(
        StackName="reviewed", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=template
    )
    try:
        assert deploy.describe(aws, "reviewed")
        with pytest.raises(NotReadyError, match="is not deployed: run `make deploy"):
            deploy.last_operation(aws, "reviewed")
    finally:
        aws.cloudformation.delete_stack(StackName="reviewed")


# Events of hooks: https://github.com/aws/aws-cdk-cli/pull/1198
HOOK = {"HookType": "Guard", "HookStatus": "HOOK_COMPLETE_FAILED", "HookStatusReason": "not encrypted"}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (
            [
                ("Service", "UPDATE_FAILED", "Resource update cancelled", {}),
                ("x", "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated", {}),
            ],
            ["the update was cancelled"],
        ),
        (
            [
                ("Table", "UPDATE_FAILED", "The following hook(s) failed: [Guard]", {}),
                ("Table", "UPDATE_IN_PROGRESS", "Hook invocations complete.", HOOK | {"HookFailureMode": "FAIL"}),
                ("Topic", "UPDATE_IN_PROGRESS", "Hook invocations complete.", HOOK | {"HookFailureMode": "WARN"}),
            ],
            ["Table (x): hook Guard failed: not encrypted", "Table (x): The following hook(s) failed: [Guard]"],
        ),
    ],
    ids=["cancelled", "rejected by a hook"],
)
def test_an_update_that_is_cancelled_or_rejected_by_a_hook_says_so(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, events: list[Any], expected: list[str]
) -> None:
    outcome, failures = last_operation(
        dev, monkeypatch, "UPDATE_ROLLBACK_COMPLETE", *events, ("x", "UPDATE_IN_PROGRESS", "", {})
    )
    assert "the previous version still runs" in outcome
    assert failures == expected


def test_a_resource_that_was_imported_since_the_last_failure_ends_it(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/failures.md recommends `cdk import` for tables that exist."""
    events: list[Any] = [
        ("x", "IMPORT_COMPLETE", "", {}),
        ("x", "IMPORT_IN_PROGRESS", "User Initiated", {}),
        ("Table", "CREATE_FAILED", "notes-dev-pages already exists", {}),
        ("x", "UPDATE_IN_PROGRESS", "User Initiated", {}),
    ]
    assert last_operation(dev, monkeypatch, "IMPORT_COMPLETE", *events) == ("x: IMPORT_COMPLETE", [])


def last_operation(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, status: str, *events: tuple[str, str, str, dict[str, str]]
) -> tuple[str, list[str]]:
    """Return outcome and failures of the last operation on a stack with these events, the newest first."""
    stack = {"StackName": "x", "StackStatus": status, "StackId": "arn/x"}
    pages = [
        {"EventId": str(number), "StackId": "arn/x", "PhysicalResourceId": f"arn/{name}", "LogicalResourceId": name,
         "ResourceType": "x", "ResourceStatus": status, "ResourceStatusReason": reason, "Timestamp": datetime.now(UTC),
         **more}
        for number, (name, status, reason, more) in enumerate(events)
    ]  # fmt: skip
    monkeypatch.setattr(deploy, "describe", lambda *_: stack)
    monkeypatch.setattr(deploy, "_events", lambda *_: iter(pages))
    _, outcome, failures = deploy.last_operation(dev, "x")
    return outcome, failures


@pytest.mark.parametrize("change", [deploy.deploy, deploy.destroy])
def test_reasons_that_cannot_be_read_do_not_hide_the_output_of_the_cli(
    aws: Aws, create: Create, monkeypatch: pytest.MonkeyPatch, change: Callable[[Aws, str], None]
) -> None:
    create("unreadable")

    def lose_access(*_: object, **__: object) -> None:
        expired = ClientError({"Error": {"Code": "ExpiredToken"}}, "DescribeStacks")
        monkeypatch.setattr(aws.cloudformation, "describe_stacks", Mock(side_effect=expired))
        raise CommandError("cdk exited with status 1", "a line of the CLI")

    monkeypatch.setattr(deploy, "run", lose_access)
    with pytest.raises(DeploymentError, match="cdk could not") as failed:
        change(aws, "unreadable")
    line, missing = failed.value.details
    assert line == "a line of the CLI"
    assert missing.startswith("some evidence is missing")
    assert "sign in again" in missing


# CloudFormation's messages: https://github.com/remind101/empire/issues/932, https://github.com/aws/aws-cdk/issues/26182
# and https://github.com/aws/aws-cdk/issues/6674
OVERTAKEN = [
    "ValidationError: Stack:arn:aws:cloudformation:::stack/x/y is in UPDATE_IN_PROGRESS state and can not be updated.",
    "InvalidChangeSetStatus: An operation on this ChangeSet is currently in progress.",
    "ChangeSetNotFound: ChangeSet [cdk-deploy-change-set] does not exist",
]


@pytest.mark.parametrize(
    ("failures", "attempts"),
    [(OVERTAKEN, 4), (OVERTAKEN * 2, 5), (["Template error"], 1)],
    ids=["overtaken", "always overtaken", "another failure"],
)
def test_only_a_release_that_was_overtaken_is_retried(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, failures: list[str], attempts: int
) -> None:
    errors = [CommandError("cdk deploy ended with status 1", failure) for failure in failures]
    cdk = Mock(side_effect=[*errors, []])
    monkeypatch.setattr(deploy, "run", cdk)
    with nullcontext() if attempts > len(failures) else pytest.raises(DeploymentError) as failed:
        deploy.deploy(aws, "no-such-stack")
    assert not failed or failed.value.details == (failures[attempts - 1],)
    assert cdk.call_count == attempts


def test_an_update_in_progress_is_waited_for(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "REVIEW_IN_PROGRESS"]
    polled = Mock(side_effect=[{"Stacks": [{"StackName": "x", "StackStatus": status}]} for status in statuses])
    monkeypatch.setattr(deploy, "POLL_SECONDS", 0)
    monkeypatch.setattr(aws.cloudformation, "describe_stacks", polled)
    deploy.wait_until_stable(aws, "x")
    assert polled.call_count == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert "another or an interrupted release" in line
    deploy.wait_until_stable(aws, "x")  # a change set that was never executed, which cdk replaces


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name x"),
        ("ROLLBACK_FAILED", "update-termination-protection --no-enable-termination-protection --stack-name x"),
        ("UPDATE_ROLLBACK_COMPLETE", ""),
        ("ROLLBACK_COMPLETE", ""),
    ],
)
def test_a_protected_stack_is_only_replaced_if_it_holds_nothing_and_otherwise_names_the_way_out(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, status: str, command: str
) -> None:
    stack = {"StackName": "x", "StackStatus": status, "EnableTerminationProtection": True}
    lift = Mock()
    monkeypatch.setattr(aws.cloudformation, "describe_stacks", lambda **_: {"Stacks": [stack]})
    monkeypatch.setattr(aws.cloudformation, "update_termination_protection", lift)
    with pytest.raises(DeploymentError, match=command) if command else nullcontext():
        deploy.wait_until_updatable(aws, "x")
    assert lift.call_count == (status == "ROLLBACK_COMPLETE")


@pytest.mark.parametrize(
    ("service_status", "verified", "parameters"),
    [
        ("ROLLBACK_COMPLETE", False, {"NotesService-prod:DeletionProtection=false"}),
        ("UPDATE_COMPLETE", False, set()),
        (
            "UPDATE_COMPLETE",
            True,
            {"NotesFoundation-prod:DeletionProtection=true", "NotesService-prod:DeletionProtection=true"},
        ),
    ],
)
def test_only_a_new_stack_is_unprotected_until_a_release_has_verified_it(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, service_status: str, verified: bool, parameters: set[str]
) -> None:
    aws = replace(dev, stage=STAGES["prod"])
    names = (aws.stage.foundation_stack, aws.stage.service_stack)
    states = dict(zip(names, ("CREATE_COMPLETE", service_status), strict=True))
    monkeypatch.setattr(deploy, "describe", lambda _, name: {"StackName": name, "StackStatus": states[name]})
    monkeypatch.setattr(deploy, "newest_event", lambda *_: None)
    cdk = Mock(return_value=[])
    monkeypatch.setattr(deploy, "run", cdk)
    deploy.deploy(aws, *names, protect=verified)
    (options,) = (call.args[0] for call in cdk.call_args_list)
    prefix = "--parameters="
    assert {option.removeprefix(prefix) for option in options if option.startswith(prefix)} == parameters
