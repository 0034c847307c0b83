"""Compares what a stage needs with the quotas of its account, before a first deployment fails because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from infra.model import Egress, Stage
from release.aws import Aws
from release.aws_errors import explain_aws_error
from release.command import NotReadyError
from release.display import note


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota of AWS, and what the stage needs of it."""

    service: str
    code: str
    name: str
    needed: float
    required: float = 0
    """What the deployment can't succeed without."""
    used: Callable[[Aws], int] = lambda _: 0

    def problem(self, allowed: float, used: int) -> str:
        in_use = f", and {used} are in use" if used else ""
        increase = f"--service-code {self.service} --quota-code {self.code} --desired-value {self.needed + used:g}"
        return (
            f"the account's quota {self.name} is {allowed:g}{in_use}, but the stage may need {self.needed:g}: run"
            f" `aws service-quotas request-service-quota-increase {increase}`"
        )


def require_quotas(aws: Aws) -> None:
    """Print a warning for each quota that the stage may exceed; raise NotReadyError if its first tasks don't fit."""
    if aws.stage.is_playground:  # it has no Service Quotas
        return
    reader = aws.untyped("service-quotas")
    for quota in quotas(aws.stage):
        try:
            found = reader.get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)
            allowed, used = found["Quota"]["Value"], quota.used(aws)
        except (BotoCoreError, ClientError) as error:
            note(f"the quota {quota.name} was not checked: {explain_aws_error(error)}")
            continue
        if quota.required > allowed:
            raise NotReadyError(quota.problem(allowed, used))
        if quota.needed + used > allowed:
            note(f"warning: {quota.problem(allowed, used)}")


def quotas(stage: Stage) -> Iterator[Quota]:
    """Yield what a stage needs. A deployment runs twice the tasks; those of other services are not counted."""
    if not stage.vpc:
        yield Quota(service="vpc", code="L-F678F1CE", name="VPCs per Region", needed=1, used=_vpcs)
        if stage.egress is Egress.NAT:
            yield Quota(service="ec2", code="L-0263D0A3", name="EC2-VPC Elastic IPs", needed=2, used=_addresses)
    least, most = (2 * stage.cpu / 1024 * tasks for tasks in (stage.min_tasks, stage.max_tasks))
    name = "Fargate On-Demand vCPU resource count"
    yield Quota(service="fargate", code="L-3032A538", name=name, needed=most, required=least)


def _vpcs(aws: Aws) -> int:
    return len([*aws.untyped("ec2").get_paginator("describe_vpcs").paginate().search("Vpcs")])


def _addresses(aws: Aws) -> int:
    return len(aws.untyped("ec2").describe_addresses()["Addresses"])
