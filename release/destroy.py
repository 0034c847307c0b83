"""Deletes a stage: `python -m release destroy STAGE`.

Images remain, because stages share them.
"""

import sys
from contextlib import suppress

from infra.model import Stage
from release import deploy
from release.aws import Aws
from release.command import DeploymentError, NotReadyError, ReleaseError
from release.display import note, step

ATTEMPTS = 3
"""To delete the foundation stack: access logs arrive until minutes after the load balancer is deleted."""


def destroy(stage: Stage, *, confirmed: str) -> None:
    """Delete the service, then its data; raise NotReadyError for a protected stage.

    `confirmed` is the name that the user typed, which is required except for the playground.
    """
    if stage.protect:
        raise NotReadyError(
            f"{stage.name} has deletion protection: set protect=False in infra/stages.py, deploy, then run this again"
        )
    require_name(stage, typed=confirmed)
    aws = Aws.of(stage)
    for name in (stage.service_stack, stage.foundation_stack):
        with step(f"{name} in account {aws.account}, region {aws.region}"):
            if not deploy.wait_until_stable(aws, name):
                note("not deployed")
            elif name == stage.foundation_stack:
                destroy_foundation(aws)
            else:
                deploy.destroy(aws, name)


def require_name(stage: Stage, *, typed: str) -> None:
    """Raise NotReadyError unless the user typed the name of the stage; ask for it on a terminal."""
    if stage.is_playground:
        return
    if not typed and sys.stdin.isatty():
        with suppress(EOFError):
            typed = input(
                f"This permanently deletes {stage.name} and all its data. Type its name to continue: "
            ).strip()
    if typed != stage.name:
        raise NotReadyError(
            f"{stage.name} was not destroyed: type its name when asked, or run `make destroy ENV={stage.name}"
            f" CONFIRM={stage.name}`"
        )


def destroy_foundation(aws: Aws) -> None:
    """Empty the bucket of access logs and delete the stack; retry if another file arrives in between."""
    bucket = aws.stage.log_bucket(account=aws.account, region=aws.region)
    for attempt in range(1, ATTEMPTS + 1):
        empty_bucket(aws, bucket)
        try:
            deploy.destroy(aws, aws.stage.foundation_stack)
        except DeploymentError as failure:
            if attempt == ATTEMPTS or not any("not empty" in line for line in failure.details):
                raise
        else:
            return


def empty_bucket(aws: Aws, bucket: str) -> None:
    """Delete all objects of an unversioned bucket, if it exists."""
    s3 = aws.untyped("s3")
    with suppress(s3.exceptions.NoSuchBucket):
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
