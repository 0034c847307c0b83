"""Reports what someone changed outside of CloudFormation: `python -m release.drift STAGE`.

Exit status: 0 nothing, 1 something, 2 it could not be found out. A resource that CloudFormation does not compare is
called not checked, and never in order.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.stages import ACCESS_STACK, REGISTRY_STACK, Stage, stage_named
from release.aws import Aws
from release.command import run_command
from release.errors import AwsError, NotReadyError
from release.stacks import describe

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import PropertyDifferenceTypeDef, StackResourceDriftTypeDef

NONE, DRIFTED, UNKNOWN = 0, 1, 2
POLL_SECONDS = 2.0
WAIT_SECONDS = 600.0
_LONGEST = 200


@dataclass(frozen=True)
class Report:
    """What the detection found in one stack."""

    checked: int
    drifted: tuple[str, ...]
    unknown: tuple[str, ...]
    """Resources that CloudFormation compares, and could not."""
    unchecked: tuple[str, ...]
    """Types of resources that it does not compare."""

    @property
    def status(self) -> int:
        if self.drifted:
            return DRIFTED
        return UNKNOWN if self.unknown else NONE

    def lines(self, stack: str) -> Iterator[str]:
        found = f"{len(self.drifted)} drifted" if self.drifted else "no drift"
        yield f"{stack}: {found}, {self.checked} checked, {len(self.unchecked)} not checked"
        yield from (f"  {line}" for line in (*self.drifted, *self.unknown))
        if self.unchecked:
            counted = Counter(self.unchecked)
            kinds = (kind if times == 1 else f"{kind} ({times})" for kind, times in sorted(counted.items()))
            yield f"  not checked: {', '.join(kinds)}"


def drift(stage: Stage) -> int:
    """Print what each stack of the stage reports, and return the exit status; raise NotReadyError if there is none."""
    aws = Aws.of(stage)
    statuses = []
    for name in (ACCESS_STACK, REGISTRY_STACK, stage.data_stack, stage.service_stack):
        if not describe(aws.cloudformation, name):
            print(f"{name}: is not deployed in this account")
            continue
        detect(aws.cloudformation, name)
        report = read(aws.cloudformation, name)
        print(*report.lines(name), sep="\n")
        statuses.append(report.status)
    if not statuses:
        raise NotReadyError(f"{stage.name} is not deployed: run `make deploy ENV={stage.name}`")
    return DRIFTED if DRIFTED in statuses else max(statuses)


def detect(cloudformation: CloudFormationClient, stack: str, *, seconds: float = WAIT_SECONDS) -> None:
    """Have CloudFormation compare the stack with what is there, and wait until it has."""
    detection = cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
    deadline = time.monotonic() + seconds
    while True:
        answer = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if answer["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            return  # what failed is in the status of its resource
        if time.monotonic() >= deadline:
            raise AwsError(f"the drift detection of {stack} goes on after {seconds:.0f} s: try again later")
        time.sleep(POLL_SECONDS)


def read(cloudformation: CloudFormationClient, stack: str) -> Report:
    """Return what the last detection found."""
    compared = {
        found["LogicalResourceId"]: found
        for found in _drifts(cloudformation, stack)
        if found["StackResourceDriftStatus"] not in {"NOT_CHECKED", "UNSUPPORTED"}
    }
    resources = [
        resource
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
    ]
    unknown = [found for found in compared.values() if found["StackResourceDriftStatus"] == "UNKNOWN"]
    return Report(
        checked=len(compared) - len(unknown),
        drifted=tuple(line for found in compared.values() if (line := _difference(found))),
        unknown=tuple(f"{_named(found)}: CloudFormation could not compare it{_reason(found)}" for found in unknown),
        unchecked=tuple(
            resource["ResourceType"] for resource in resources if resource["LogicalResourceId"] not in compared
        ),
    )


def _drifts(cloudformation: CloudFormationClient, stack: str) -> Iterator[StackResourceDriftTypeDef]:
    """Yield what was found of each resource; boto3 has no paginator for this call."""
    page = cloudformation.describe_stack_resource_drifts(StackName=stack)
    yield from page["StackResourceDrifts"]
    while token := page.get("NextToken"):
        page = cloudformation.describe_stack_resource_drifts(StackName=stack, NextToken=token)
        yield from page["StackResourceDrifts"]


def _difference(found: StackResourceDriftTypeDef) -> str:
    """Return what is different about a resource, nothing if it is as its template says."""
    if found["StackResourceDriftStatus"] == "DELETED":
        return f"{_named(found)}: is gone"
    differences = found.get("PropertyDifferences", [])
    if found["StackResourceDriftStatus"] != "MODIFIED" or not differences:
        return ""
    return f"{_named(found)}: {_spelt(differences)}"


def _spelt(differences: Sequence[PropertyDifferenceTypeDef]) -> str:
    return "; ".join(
        f"{each['PropertyPath']} is {_cut(each['ActualValue'])}, the template says {_cut(each['ExpectedValue'])}"
        for each in differences
    )


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _named(found: StackResourceDriftTypeDef) -> str:
    return f"{found['LogicalResourceId']} ({found['ResourceType']} {found.get('PhysicalResourceId', '')})"


def _reason(found: StackResourceDriftTypeDef) -> str:
    reason = found.get("DriftStatusReason")
    return f": {reason}" if reason else "; may these credentials read it?"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.drift", description="What was changed by hand?")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command("drift", lambda: drift(stage_named(arguments.stage)), failed=UNKNOWN)


if __name__ == "__main__":
    main()
