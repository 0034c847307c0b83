"""Removes a stage: `python -m release.destroy STAGE`. The images stay, they belong to all stages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from infra.stages import Stage, stage_named
from release import stacks
from release.aws import Aws
from release.command import run_command
from release.deploy import Cdk
from release.errors import AwsError, DeploymentError, NotReadyError
from release.images import PROVEN_IN
from release.steps import Steps

ATTEMPTS = 3
"""To delete the foundation: a balancer delivers its last access logs some minutes after its end."""


def destroy(stage: Stage, steps: Steps, *, confirmed: str) -> None:
    """Take the service, then its state, for good; raise NotReadyError for a stage that protects it.

    `confirmed` is the name that was typed, for the stages that strangers rely on.
    """
    if stage.protect:
        raise NotReadyError(
            f"{stage.name} protects its comments: set protect=False for it in infra/stages.py, release that,"
            " and run this again to lose them"
        )
    require_name(stage, typed=confirmed)
    with steps.step(f"account and region of {stage.name}"):
        aws = Aws.of(stage)
        steps.note(f"account {aws.account}, region {aws.region}")
    cdk = Cdk(aws, steps.note)
    for name in (stage.service_stack, stage.data_stack):
        with steps.step(name):
            stacks.settle(aws.cloudformation, name, steps.note)
            if not stacks.describe(aws.cloudformation, name):
                steps.note("is not there")
            elif name == stage.data_stack:
                destroy_foundation(aws, cdk, steps.note)
            else:
                cdk.destroy(name)


def require_name(stage: Stage, *, typed: str) -> None:
    """Raise NotReadyError unless the name of a stage with visitors was typed; at a terminal, ask for it."""
    if stage.name not in PROVEN_IN:
        return
    if not typed and sys.stdin.isatty():
        typed = input(f"This deletes {stage.name} and all its comments for good. Type its name to go on: ").strip()
    if typed != stage.name:
        raise NotReadyError(
            f"{stage.name} was not destroyed: type its name when asked, or run `make destroy ENV={stage.name}"
            f" CONFIRM={stage.name}`"
        )


def destroy_foundation(aws: Aws, cdk: Cdk, note: Callable[[str], None]) -> None:
    """Empty the log bucket and delete the stack, again where a log arrived in between."""
    bucket = aws.stage.log_bucket(account=aws.account, region=aws.region)
    for attempt in range(1, ATTEMPTS + 1):
        note(f"{empty_bucket(aws, bucket)} objects deleted from {bucket}")
        try:
            cdk.destroy(aws.stage.data_stack)
        except DeploymentError as failure:
            if attempt == ATTEMPTS or not any("not empty" in line for line in failure.details):
                raise
        else:
            return


def empty_bucket(aws: Aws, bucket: str) -> int:
    """Delete every object of a bucket without versions, and return how many there were; 0 where there is no bucket."""
    s3 = aws.untyped("s3")
    deleted = 0
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                refused = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors", [])
                if refused:  # S3 says so of each object, in an answer that is a success
                    raise AwsError(
                        f"S3 keeps {len(refused)} of {len(keys)} objects of {bucket} ({refused[0]['Code']}): these"
                        " credentials need s3:DeleteObject on them, granted in infra/permissions.py"
                    )
            deleted += len(keys)
    except s3.exceptions.NoSuchBucket:
        return deleted
    return deleted


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.destroy", description="Remove a stage for good.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    confirmed = os.environ.get("CONFIRM", "")
    run_command("destroy", lambda: destroy(stage_named(arguments.stage), Steps(), confirmed=confirmed))


if __name__ == "__main__":
    main()
