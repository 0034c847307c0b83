"""Deletes a stage: `python -m release.destroy STAGE`. Images remain, because stages share them."""

from __future__ import annotations

import argparse
import os
import sys

from infra.stages import Stage, stage_named
from release import deploy
from release.aws import Aws
from release.command import note, run_command, step
from release.errors import DeploymentError, NotReadyError, ReleaseError
from release.images import PROVEN_IN

ATTEMPTS = 3
"""Number of attempts to delete the data stack: access logs arrive until minutes after the load balancer is deleted."""


def destroy(stage: Stage, *, confirmed: str) -> None:
    """Delete the service, then its data; raise NotReadyError for a protected stage.

    `confirmed` is the name that the user typed, which is required for prod.
    """
    if stage.protect:
        raise NotReadyError(
            f"{stage.name} protects its comments: set protect=False for it in infra/stages.py, release that,"
            " and run this again to delete them"
        )
    require_name(stage, typed=confirmed)
    aws = Aws.of(stage)
    for name in (stage.service_stack, stage.data_stack):
        with step(f"{name} in account {aws.account}, region {aws.region}"):
            deploy.wait_until_stable(aws, name)
            if not deploy.describe(aws, name):
                note("not deployed")
            elif name == stage.data_stack:
                destroy_data(aws)
            else:
                deploy.destroy(aws, name)


def require_name(stage: Stage, *, typed: str) -> None:
    """Raise NotReadyError unless the user typed the name of a stage such as prod; ask for it on a terminal."""
    if stage.name not in PROVEN_IN:
        return
    if not typed and sys.stdin.isatty():
        typed = input(
            f"This permanently deletes {stage.name} and all its comments. Type its name to continue: "
        ).strip()
    if typed != stage.name:
        raise NotReadyError(
            f"{stage.name} was not destroyed: type its name when asked, or run `make destroy ENV={stage.name}"
            f" CONFIRM={stage.name}`"
        )


def destroy_data(aws: Aws) -> None:
    """Empty the log bucket and delete the stack; retry if another log file arrives in between."""
    for attempt in range(1, ATTEMPTS + 1):
        empty_bucket(aws, aws.stage.log_bucket(account=aws.account, region=aws.region))
        try:
            deploy.destroy(aws, aws.stage.data_stack)
        except DeploymentError as failure:
            if attempt == ATTEMPTS or not any("not empty" in line for line in failure.details):
                raise
        else:
            return


def empty_bucket(aws: Aws, bucket: str) -> None:
    """Delete all objects of an unversioned bucket, if it exists."""
    s3 = aws.untyped("s3")
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if not keys:
                return
            note(f"deleting {len(keys)} objects from {bucket}")
            errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors", [])
            if errors:  # S3 reports them in a successful response
                raise ReleaseError(
                    f"S3 did not delete {len(errors)} of {len(keys)} objects of {bucket} ({errors[0]['Code']}):"
                    " these credentials lack s3:DeleteObject; infra/permissions.py grants it"
                )
    except s3.exceptions.NoSuchBucket:
        return


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.destroy", description="Permanently delete a stage.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    confirmed = os.environ.get("CONFIRM", "")
    run_command("destroy", lambda: destroy(stage_named(arguments.stage), confirmed=confirmed))


if __name__ == "__main__":
    main()
