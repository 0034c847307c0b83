"""Compares and inspects without changing anything: `python -m release diff STAGE`, for example.

`status` shows version, tasks, alarms and the last deployments. `endpoint` prints the base URL. `diff` shows what
deploying this commit with the running image would change. `drift` shows changes made outside of CloudFormation. Both
return 0 for no changes, 1 for changes, 2 for an unknown state.
"""

from collections import Counter
from itertools import islice

from infra.config import ACCESS_STACK, REGISTRY_STACK
from infra.model import Stage
from release.aws import Aws
from release.aws_errors import explain_denial
from release.command import CommandError, ReleaseError
from release.deploy import NOISE, base_url, cdk, describe, image_parameter, not_deployed, operations, running_digest
from release.images import Images

NO_CHANGES, CHANGES, UNKNOWN = 0, 1, 2
_SHOWN, _TIME = 5, "%Y-%m-%d %H:%M %Z"
_UNCHECKED = {"NOT_CHECKED", "UNSUPPORTED"}
_SUMMARIES = ("Number of stacks with differences", "Number of resources with drift")


def endpoint(stage: Stage) -> None:
    """Print the base URL, alone on stdout."""
    aws = Aws.of(stage)
    address = base_url(aws)
    if not address:
        raise not_deployed(aws)
    print(address)


def status(stage: Stage) -> None:
    """Print what a stage runs, how it is, and the outcome of its last deployments."""
    aws = Aws.of(stage)
    digest, address = running_digest(aws), base_url(aws)
    if not digest or not address:
        raise not_deployed(aws)
    services = aws.ecs.describe_services(cluster=stage.cluster, services=[stage.service])["services"]
    if not services or services[0]["status"] == "INACTIVE":
        raise ReleaseError(
            f"the service {stage.service} no longer exists: it was deleted outside of CloudFormation",
            f"next: run `make drift ENV={stage.name}` to see what else was changed",
        )
    (service,) = services
    rollouts = [each["rolloutState"] for each in service["deployments"] if each["status"] == "PRIMARY"]
    alarms = aws.untyped("cloudwatch").describe_alarms(AlarmNamePrefix=f"{stage.service}-")["MetricAlarms"]
    firing = [f"{alarm['AlarmName']} since {alarm['StateUpdatedTimestamp']:{_TIME}}" for alarm in alarms
              if alarm["StateValue"] == "ALARM"]  # fmt: skip
    print(f"address      {address}")
    print(f"version      {', '.join(Images(aws).tags(digest)) or 'not tagged'}, {digest}")
    print(f"tasks        {service['runningCount']} of {service['desiredCount']} running, {', '.join(rollouts).lower()}")
    print(f"alarms       {', '.join(firing) or f'none of {len(alarms)} is firing'}")
    for number, events in enumerate(islice(operations(aws, stage.service_stack), _SHOWN)):
        began, ended, outcome = events[-1]["Timestamp"], events[0]["Timestamp"], events[0]["ResourceStatus"]
        took = f"{outcome} after {(ended - began).total_seconds():.0f} s"
        print(f"{'' if number else 'deployments':12} {began:{_TIME}}  {took}")


def diff(stage: Stage) -> int:
    """Print the differences between this commit's templates and the deployed ones.

    Before the first deployment there is no image, so the CLI can't create a change set and only compares templates.
    """
    aws = Aws.of(stage)
    names = (*aws.registry_stacks, stage.foundation_stack, stage.service_stack)
    return _compare(aws, "diff", *names, *image_parameter(aws, running_digest(aws)), "--exclusively")


def drift(stage: Stage) -> int:
    """Print the drift of every deployed stack, then the resources that CloudFormation did not compare."""
    aws = Aws.of(stage)
    names = (ACCESS_STACK, REGISTRY_STACK, stage.foundation_stack, stage.service_stack)
    deployed = [name for name in names if describe(aws, name)]
    if not deployed:
        raise not_deployed(aws)
    status = _compare(aws, "drift", *deployed)
    for name in deployed:
        # `cdk drift` reports these resources as unchanged. One page of them suffices to fail.
        unknown = aws.cloudformation.describe_stack_resource_drifts(
            StackName=name, StackResourceDriftStatusFilters=["UNKNOWN"]
        )
        for found in unknown["StackResourceDrifts"]:
            reason = found.get("DriftStatusReason", "no reason given")
            resource = f"{found['LogicalResourceId']} ({found['ResourceType']}: {reason})"
            print(f"{name}: CloudFormation could not compare {resource}; check that these credentials may read it")
            status = status or UNKNOWN
        if unchecked := _unchecked(aws, name):
            print(f"{name}: not checked: {', '.join(unchecked)}")
    return status


def _compare(aws: Aws, command: str, *arguments: str) -> int:
    """Distinguish differences from errors: `--fail` exits with 1 for both, but only differences have a summary."""
    try:
        cdk(aws, command, *arguments, "--fail", on_line=print)
    except CommandError as error:
        if any(summary in line for line in error.details for summary in _SUMMARIES):
            return CHANGES
        lines = [line for line in error.details if not NOISE.search(line)]
        raise ReleaseError(explain_denial("\n".join(lines)) or f"cdk {command} failed", *lines) from error
    return NO_CHANGES


def _unchecked(aws: Aws, stack: str) -> list[str]:
    """Return the resource types that CloudFormation doesn't compare; `cdk drift` only counts them."""
    resources = aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    types = Counter(
        resource["ResourceType"]
        for resource in resources.search("StackResourceSummaries")
        if resource.get("DriftInformation", {}).get("StackResourceDriftStatus", "NOT_CHECKED") in _UNCHECKED
    )
    return [name if times == 1 else f"{name} ({times})" for name, times in sorted(types.items())]
