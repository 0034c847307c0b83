"""Inspects a stage without changing it: `python -m release.status endpoint|diff|drift STAGE`.

`endpoint` prints the base URL. `diff` shows what deploying this commit with the running image would change. `drift`
shows changes made outside of CloudFormation. Both exit with 0 for no changes, 1 for changes, 2 for an error or an
unknown state.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from infra.stages import ACCESS_STACK, REGISTRY_STACK, Stage, stage_named
from release import stacks
from release.aws import Aws
from release.command import run_command
from release.deploy import NOISE, Cdk
from release.errors import CommandError, DeploymentError, NotReadyError
from release.explain import explain_denial

NO_CHANGES, CHANGES, UNKNOWN = 0, 1, 2
_UNCHECKED = {"NOT_CHECKED", "UNSUPPORTED"}


def endpoint(stage: Stage) -> int:
    """Print the base URL, alone on stdout."""
    print(stacks.require_base_url(Aws.of(stage)))
    return NO_CHANGES


def diff(stage: Stage) -> int:
    """Print the differences between this commit's templates and the deployed ones."""
    aws = Aws.of(stage)
    running = stacks.outputs(aws.cloudformation, stage.service_stack).get("DeployedDigest")
    names = (REGISTRY_STACK, stage.data_stack, stage.service_stack)
    return _compare(lambda: Cdk(aws, print).diff(*names, digest=running), summary="Number of stacks with differences")


def drift(stage: Stage) -> int:
    """Print the drift of every deployed stack, then the resources that CloudFormation did not compare."""
    aws = Aws.of(stage)
    names = (ACCESS_STACK, REGISTRY_STACK, stage.data_stack, stage.service_stack)
    deployed = [name for name in names if stacks.describe(aws.cloudformation, name)]
    if not deployed:
        raise NotReadyError(f"{stage.name} is not deployed: run `make deploy ENV={stage.name}`")
    status = _compare(lambda: Cdk(aws, print).drift(*deployed), summary="Number of resources with drift")
    for name in deployed:
        for resource in _unknown(aws, name):
            print(f"{name}: CloudFormation could not compare {resource}; check that these credentials may read it")
            status = status or UNKNOWN
        if unchecked := _unchecked(aws, name):
            print(f"{name}: not checked: {', '.join(unchecked)}")
    return status


def _compare(cdk: Callable[[], None], *, summary: str) -> int:
    """Distinguish differences from errors: `--fail` exits with 1 for both, but only differences have a summary."""
    try:
        cdk()
    except CommandError as error:
        if any(summary in line for line in error.details):
            return CHANGES
        lines = [line for line in error.details if not NOISE.search(line)]
        raise DeploymentError(explain_denial("\n".join(lines)) or error.summary, *lines) from error
    return NO_CHANGES


def _unknown(aws: Aws, stack: str) -> Iterator[str]:
    """Yield the resources that CloudFormation could not compare; `cdk drift` reports them as unchanged."""
    token: dict[str, Any] = {}
    while True:
        page = aws.cloudformation.describe_stack_resource_drifts(
            StackName=stack, StackResourceDriftStatusFilters=["UNKNOWN"], **token
        )
        for found in page["StackResourceDrifts"]:
            reason = found.get("DriftStatusReason", "no reason given")
            yield f"{found['LogicalResourceId']} ({found['ResourceType']}: {reason})"
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _unchecked(aws: Aws, stack: str) -> list[str]:
    """Return the resource types that CloudFormation doesn't compare; `cdk drift` only counts them."""
    types = Counter(
        resource["ResourceType"]
        for page in aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
        if resource.get("DriftInformation", {}).get("StackResourceDriftStatus", "NOT_CHECKED") in _UNCHECKED
    )
    return [name if times == 1 else f"{name} ({times})" for name, times in sorted(types.items())]


COMMANDS = {"endpoint": endpoint, "diff": diff, "drift": drift}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m release.status", description="Inspect a stage without changing it."
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command(arguments.command, lambda: COMMANDS[arguments.command](stage_named(arguments.stage)), failed=UNKNOWN)


if __name__ == "__main__":
    main()
