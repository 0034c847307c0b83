"""Refuses a stage that has no room left for its network, before CloudFormation finds out half way through."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from release import stacks
from release.aws import Aws
from release.errors import NotReadyError

DEFAULT = 5
"""AWS: VPCs in a region, unless more were asked for."""
_VPCS = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}


def require_room(aws: Aws) -> None:
    """Raise NotReadyError if a stage that is not there yet would exceed the region's VPCs."""
    if stacks.describe(aws.cloudformation, aws.stage.service_stack):
        return
    pages = aws.untyped("ec2").get_paginator("describe_vpcs").paginate()
    there = sum(len(page["Vpcs"]) for page in pages)
    most = _most(aws)
    if there >= most:
        raise NotReadyError(
            f"{aws.region} holds {there} VPCs of at most {most}, and {aws.stage.name} needs one: destroy a preview that"
            f" nobody looks at (make reap), or ask for more: aws service-quotas request-service-quota-increase"
            f" --service-code vpc --quota-code {_VPCS['QuotaCode']} --desired-value {most + DEFAULT}"
        )


def _most(aws: Aws) -> int:
    """Return how many VPCs there may be: AWS's default where the quota cannot be read, which is what it is at least."""
    try:
        return int(aws.untyped("service-quotas").get_service_quota(**_VPCS)["Quota"]["Value"])
    except (BotoCoreError, ClientError):
        return DEFAULT
