"""Deploys and deletes stacks with the CDK CLI, and reads their state from CloudFormation."""

from __future__ import annotations

import atexit
import functools
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.config import DIGEST_PARAMETER, PROJECT, PROTECTION_PARAMETER, protected_stacks
from release import playground
from release.aws import Aws
from release.aws_errors import explain_denial, missing_evidence
from release.command import OUTPUT, CommandError, DeploymentError, NotReadyError, run
from release.display import note, progress

if TYPE_CHECKING:
    from types_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

ATTEMPTS = 5
"""Number of attempts to deploy while other releases update the same stack."""
POLL_SECONDS = 3
NOISE = re.compile(
    r"^\s*$|(^|: )(start|success): |^Hold on while|^current credentials could not be used to assume|^Lookup role "
)
"""Uninformative lines of the CDK CLI. Read-only roles can't assume CDK's roles and don't need to."""
OUTCOMES = {
    "ROLLBACK_COMPLETE": "the first deployment failed and was removed",
    "UPDATE_ROLLBACK_COMPLETE": "the deployment failed and was rolled back: the previous version still runs",
    "ROLLBACK_FAILED": "the first deployment failed, and so did its removal",
    "UPDATE_ROLLBACK_FAILED": "the deployment failed, and so did its rollback",
}
_SUCCEEDED = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
"""Despite failures to delete what an update no longer needs, which CloudFormation skips."""
_CANCELLED = ("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
"""CloudFormation's status and reason of the stack whose update was cancelled."""
_HOOK_FAILURES = {"HOOK_FAILED", "HOOK_COMPLETE_FAILED"}
_REASONS_SHOWN = 3
_CONCURRENT_UPDATE = re.compile(
    r"_IN_PROGRESS state and can ?not be updated|InvalidChangeSetStatus|OperationInProgress|ChangeSetNotFound"
    r"|ChangeSet \[\S+\] (?:does not exist|already exists)|execution status of \[OBSOLETE\]"
)
"""CloudFormation's messages if another release updates the stack: it takes one update at a time, and rejects change
sets created before another update."""


def cdk(aws: Aws, command: str, *arguments: str, on_line: Callable[[str], object] = lambda _line: None) -> None:
    """Run the CDK CLI that package.json pins, for the stage, and pass on its output; raise CommandError."""
    folder = _assembly(aws.stage.name)
    if (folder / "manifest.json").exists():
        source = [f"--app={folder}"]
    else:
        source = [f"--output={folder}", f"--context=stage={aws.stage.name}"]
    run(
        ["cdk", command, *arguments, "--no-notices", *source],
        # Validating the templates takes five seconds. `make check` does, too.
        variables={} if command == "deploy" and not aws.stage.is_playground else {"CDK_VALIDATION": "false"},
        on_line=lambda line: None if NOISE.search(line) else on_line(line),
    )


@functools.cache
def _assembly(_stage: str) -> Path:
    """Return the folder to which the first command for a stage synthesizes its templates, and which the others use."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PROJECT}-cdk-"))  # another process may be using cdk.out
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def new_change_set() -> str:
    """Return a name that no other release uses. Before it creates a change set, cdk waits until none has its name."""
    return f"release-{secrets.token_hex(8)}"


def deploy(
    aws: Aws, *names: str, digest: str | None = None, protect: bool = False, change_set: str | None = None
) -> None:
    """Deploy stacks from this commit's templates, with the image `digest`, by default the running one.

    With `protect`, switch on deletion protection, which new stacks don't have, so that they can be rolled back. Raises
    DeploymentError with CloudFormation's reasons, or the last lines of the CLI if there are none.
    """
    options = ["--exclusively", "--require-approval=never", "--progress=events", *image_parameter(aws, digest)]
    options.append(f"--change-set-name={change_set or new_change_set()}")
    for attempt in range(1, ATTEMPTS + 1):
        new = [name for name in names if wait_until_updatable(aws, name)]
        marks = {name: newest_event(aws, name) for name in names}
        protection = protection_parameters(aws, names, "true") if protect else protection_parameters(aws, new, "false")
        try:
            cdk(aws, "deploy", *names, *options, *protection, on_line=_show_event)
        except CommandError as error:
            output = "\n".join(error.details)
            if attempt < ATTEMPTS and _CONCURRENT_UPDATE.search(output):
                note("another release is updating the stack; retrying when it has finished")
                continue
            lines = [line for line in error.details if not NOISE.search(line) and not explain_denial(line)]
            for name, mark in marks.items():
                try:
                    stack, reasons = describe(aws, name), failures_since(aws, name, mark)
                    status = stack["StackStatus"] if stack else ""
                    if reasons and status not in _SUCCEEDED:
                        outcome = OUTCOMES.get(status, "the deployment failed")
                        raise DeploymentError(f"{name}: {outcome}", *reasons[:_REASONS_SHOWN]) from error
                except (BotoCoreError, ClientError) as unread:
                    lines.append(missing_evidence(unread))
            summary = explain_denial(output) or f"cdk could not deploy {' and '.join(names)}"
            raise DeploymentError(summary, *lines) from error
        return


def _show_event(line: str) -> None:
    """Show that CloudFormation is working, and keep the CLI's warning of resources that it could not delete.

    The explanation of a failed deployment has its failures.
    """
    text = " ".join(line.split())
    if "could incur charges" in text:
        note(f"{text} Lines with DELETE_FAILED in {os.path.relpath(OUTPUT)} name them.")
    progress("CloudFormation", text)


def destroy(aws: Aws, name: str) -> None:
    """Delete a stack; raise DeploymentError with CloudFormation's reasons."""
    mark = newest_event(aws, name)
    try:
        cdk(aws, "destroy", name, "--force", "--exclusively", on_line=_show_event)
    except CommandError as error:
        try:
            reasons = failures_since(aws, name, mark) or [*error.details]
        except (BotoCoreError, ClientError) as unread:
            reasons = [*error.details, missing_evidence(unread)]
        raise DeploymentError(f"cdk could not delete {name}", *reasons) from error


def image_parameter(aws: Aws, digest: str | None) -> list[str]:
    return [f"--parameters={aws.stage.service_stack}:{DIGEST_PARAMETER}={digest}"] if digest else []


def protection_parameters(aws: Aws, names: Collection[str], value: str) -> list[str]:
    """Return options for the deletion protection of those stacks that have any; others keep theirs."""
    return [
        f"--parameters={name}:{PROTECTION_PARAMETER}={value}" for name in protected_stacks(aws.stage) if name in names
    ]


def unprotected_stacks(aws: Aws) -> list[str]:
    """Return the stacks of a protected stage that were created without deletion protection and still have none."""
    off = {"ParameterKey": PROTECTION_PARAMETER, "ParameterValue": "false"}
    return [
        name
        for name in protected_stacks(aws.stage)
        if (stack := describe(aws, name)) and off in stack.get("Parameters", [])
    ]


def describe(aws: Aws, name: str) -> StackTypeDef | None:
    """Return the stack; None if it doesn't exist."""
    try:
        return aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):  # a ValidationError that only its text distinguishes
            return None
        raise


def outputs(aws: Aws, name: str) -> dict[str, str]:
    """Return the outputs by key; empty if the stack doesn't exist."""
    stack = describe(aws, name)
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])} if stack else {}


def running_digest(aws: Aws) -> str | None:
    """Return the digest of the deployed image; None if the service isn't deployed."""
    return outputs(aws, aws.stage.service_stack).get("DeployedDigest")


def base_url(aws: Aws) -> str | None:
    """Return the public address of a stage; None if it isn't deployed."""
    address = outputs(aws, aws.stage.service_stack).get("BaseUrl")
    if address and aws.stage.is_playground:
        address = playground.base_url()
    return address.rstrip("/") if address else None


def not_deployed(aws: Aws) -> NotReadyError:
    return NotReadyError(f"{aws.stage.service_stack} is not deployed: run `make deploy ENV={aws.stage.name}`")


def wait_until_stable(aws: Aws, name: str) -> StackTypeDef | None:
    """Wait for an update in progress to end, and return the stack; None if it doesn't exist."""
    announced = False
    # In REVIEW_IN_PROGRESS, it only has a change set that was never executed, which cdk replaces.
    while (stack := describe(aws, name)) and re.fullmatch(r"(?!REVIEW_)\w+_IN_PROGRESS", stack["StackStatus"]):
        if not announced:
            note(f"{name} is {stack['StackStatus']}: waiting for another or an interrupted release to finish")
            announced = True
        time.sleep(POLL_SECONDS)
    return stack


def wait_until_updatable(aws: Aws, name: str) -> bool:
    """Wait for an update in progress to end, and return whether the stack will be created.

    Raises DeploymentError if it needs to be repaired by hand. The CDK CLI deletes a stack whose first deployment
    failed, but not a protected one.
    """
    stack = wait_until_stable(aws, name)
    status = stack["StackStatus"] if stack else "REVIEW_IN_PROGRESS"
    if stack and status == "UPDATE_ROLLBACK_FAILED":
        raise DeploymentError(
            f"{name} is {status} and can't be updated: fix the cause, then run"
            f" `aws cloudformation continue-update-rollback --stack-name {name}`",
            stack.get("StackStatusReason", ""),
        )
    if stack and stack.get("EnableTerminationProtection"):
        if status == "ROLLBACK_COMPLETE":
            note(f"{name}: the first deployment failed and nothing is left of it; lifting its termination protection")
            aws.cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
        elif status == "ROLLBACK_FAILED":
            raise DeploymentError(
                f"{name} is {status} and protected: delete what remains, then run `aws cloudformation"
                f" update-termination-protection --no-enable-termination-protection --stack-name {name}`",
                stack.get("StackStatusReason", ""),
            )
    return status in {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}


def newest_event(aws: Aws, name: str) -> str | None:
    """Return the ID of the stack's newest event, the `mark` of `failures_since`; None if there is no stack."""
    return next((event["EventId"] for event in _events(aws, name)), None)


def failures_since(aws: Aws, name: str, mark: str | None) -> list[str]:
    """Return the failures after the mark, oldest first: the first one often causes the others."""
    return _failures(takewhile(lambda event: event["EventId"] != mark, _events(aws, name)))


def _failures(events: Iterable[StackEventTypeDef]) -> list[str]:
    """Return the failures among events that are sorted by time, the newest first, and the cancellation of an update."""
    found = []
    for event in events:
        status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
        resource = f"{event['LogicalResourceId']} ({event['ResourceType']})"
        if (status, reason) == _CANCELLED:
            found.append("the update was cancelled")
        elif event.get("HookStatus") in _HOOK_FAILURES and event.get("HookFailureMode") != "WARN":
            found.append(f"{resource}: hook {event['HookType']} failed: {event.get('HookStatusReason')}")
        elif status.endswith("_FAILED") and reason and "cancelled" not in reason:
            found.append(f"{resource}: {reason}")
    return found[::-1]


def last_operation(aws: Aws, name: str) -> tuple[float, str, list[str]]:
    """Return when the stack's last operation started (Unix time), its outcome, and its failures, oldest first.

    Raises NotReadyError if there is no such stack, or only its first change set.
    """
    stack, operation = describe(aws, name), next(operations(aws, name), None)
    if not stack or not operation:
        raise not_deployed(aws)
    status = stack["StackStatus"]
    return operation[-1]["Timestamp"].timestamp(), f"{name}: {OUTCOMES.get(status, status)}", _failures(operation)


def operations(aws: Aws, name: str) -> Iterator[list[StackEventTypeDef]]:
    """Yield the events of each operation on a stack, such as an update. Operations and events start with the newest."""
    events: list[StackEventTypeDef] = []
    for event in _events(aws, name):
        events.append(event)
        begins = re.fullmatch(r"(CREATE|UPDATE|DELETE|IMPORT)_IN_PROGRESS", event.get("ResourceStatus", ""))
        if begins and event.get("PhysicalResourceId") == event["StackId"]:
            yield events
            events = []


def _events(aws: Aws, name: str) -> Iterator[StackEventTypeDef]:
    """Yield the stack's events, newest first; none if there is no stack."""
    if describe(aws, name):
        pages = aws.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
        yield from pages.search("StackEvents")
