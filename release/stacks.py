"""State, outputs and failures of CloudFormation stacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from release.aws import Aws
from release.errors import DeploymentError, NotReadyError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

POLL_SECONDS = 3


def describe(cloudformation: CloudFormationClient, name: str) -> StackTypeDef | None:
    """Return the stack; None if it doesn't exist."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):  # a ValidationError that only its text distinguishes
            return None
        raise


def outputs(cloudformation: CloudFormationClient, name: str) -> dict[str, str]:
    """Return the outputs by key; empty if the stack doesn't exist."""
    stack = describe(cloudformation, name)
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])} if stack else {}


def base_url(aws: Aws) -> str | None:
    """Return the public address of a stage; None if it isn't deployed."""
    address = outputs(aws.cloudformation, aws.stage.service_stack).get("BaseUrl")
    if address and aws.stage.is_playground:  # the load balancer's name doesn't resolve there
        address = aws.environment["PLAYGROUND_URL"]
    return address.rstrip("/") if address else None


def require_base_url(aws: Aws) -> str:
    """Return the public address of a stage; raise NotReadyError if it isn't deployed."""
    address = base_url(aws)
    if not address:
        raise NotReadyError(f"{aws.stage.service_stack} is not deployed: run `make deploy ENV={aws.stage.name}`")
    return address


def wait_until_stable(cloudformation: CloudFormationClient, name: str, note: Callable[[str], None]) -> None:
    """Wait for an update in progress to end; raise DeploymentError if the stack can't be updated."""
    announced = False
    while (stack := describe(cloudformation, name)) and stack["StackStatus"].endswith("_IN_PROGRESS"):
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":  # a change set that was never executed; cdk replaces it
            return
        if not announced:
            note(
                f"{name} is {stack['StackStatus']} because of another or an interrupted release; waiting for it to end"
            )
            announced = True
        time.sleep(POLL_SECONDS)
    if stack and stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
        raise DeploymentError(
            f"{name} is UPDATE_ROLLBACK_FAILED and can't be updated: fix the cause, then run"
            f" `aws cloudformation continue-update-rollback --stack-name {name}`",
            stack.get("StackStatusReason", ""),
        )


def newest_event(cloudformation: CloudFormationClient, name: str) -> str | None:
    """Return the ID of the stack's newest event, as `mark` for the functions below; None if there is no stack."""
    return next((event["EventId"] for event in _events_since(cloudformation, name, None)), None)


def failures_since(cloudformation: CloudFormationClient, name: str, mark: str | None) -> list[str]:
    """Return the failures after the mark, oldest first: the first one often causes the others."""
    found = [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
        for event in _events_since(cloudformation, name, mark)
        if event.get("ResourceStatus", "").endswith("_FAILED")
        and (reason := event.get("ResourceStatusReason", ""))
        and "cancelled" not in reason
    ]
    return found[::-1]


def updates_since(cloudformation: CloudFormationClient, name: str, mark: str | None) -> int:
    """Return how many creations and updates of the stack have started after the mark."""
    return sum(
        event.get("ResourceType") == "AWS::CloudFormation::Stack"
        and event.get("ResourceStatus") in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}
        for event in _events_since(cloudformation, name, mark)
    )


def _events_since(cloudformation: CloudFormationClient, name: str, mark: str | None) -> Iterator[StackEventTypeDef]:
    """Yield the events after the mark, newest first; none if there is no stack."""
    try:
        for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
            for event in page["StackEvents"]:
                if event["EventId"] == mark:
                    return
                yield event
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
