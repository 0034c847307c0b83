"""Destroys the previews that nobody has deployed for some days: `python -m release.reap [--days N]`."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from infra.stages import PREVIEW, stage_named
from release.aws import Aws
from release.command import FAILED, run_command
from release.destroy import destroy
from release.errors import ReleaseError
from release.steps import Steps

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

DAYS = 3
"""A preview costs about a dollar a day; the next push to its pull request brings it back."""
_STACK = re.compile(r"Comments(?:Foundation|Service)-(?P<stage>pr-\d+)")


def outdated(cloudformation: CloudFormationClient, *, days: int, now: datetime) -> list[str]:
    """Return the names of the previews whose stacks were all deployed longer ago than that."""
    deployed: dict[str, datetime] = {}
    for page in cloudformation.get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            match = _STACK.fullmatch(stack["StackName"])
            if match and stack["StackStatus"] != "DELETE_COMPLETE":
                at = stack.get("LastUpdatedTime", stack["CreationTime"])
                deployed[match["stage"]] = max(at, deployed.get(match["stage"], at))
    return sorted(name for name, at in deployed.items() if at < now - timedelta(days=days))


def reap(*, days: int, steps: Steps) -> int:
    """Destroy what is outdated, each whatever becomes of the others, and return an exit status."""
    aws = Aws.of(PREVIEW)
    names = outdated(aws.cloudformation, days=days, now=datetime.now(UTC))
    steps.result(f"previews that were not deployed for {days} days: {', '.join(names) or 'none'}")
    failed = []
    for name in names:
        try:
            destroy(stage_named(name), steps, confirmed="")
        except ReleaseError as error:
            failed.append(name)
            steps.result(f"{name} remains: {error.summary}")
    return FAILED if failed else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.reap", description="Destroy outdated previews.")
    parser.add_argument("--days", type=int, default=DAYS, help="since the last deployment (default: %(default)s)")
    arguments = parser.parse_args()
    run_command("reap", lambda: reap(days=arguments.days, steps=Steps()))


if __name__ == "__main__":
    main()
