"""Services of which a workload may own resources: their CloudFormation types, ARNs and IAM actions, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.model import Owned, Service

if TYPE_CHECKING:
    import aws_cdk as cdk


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How a service names resources. NAME in an ARN is a physical name; the other placeholders are those of IAM."""

    types: Mapping[str, str | None]
    """CloudFormation types, with the attribute of CDK's construct that has the physical name; None has no such name."""
    arns: tuple[str, ...]
    """ARNs of a resource and its parts."""
    manage: tuple[str, ...]
    """Actions of CloudFormation."""
    read: tuple[str, ...] = ()
    """Actions of drift detection beyond those of every stage."""


SERVICES = {
    Service.DYNAMODB: Facts(
        types={"AWS::DynamoDB::GlobalTable": "table_name", "AWS::DynamoDB::Table": "table_name"},
        arns=("arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME",),
        manage=("dynamodb:*",),
        read=("dynamodb:Describe*", "dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource"),
    ),
    Service.S3: Facts(
        types={"AWS::S3::Bucket": "bucket_name", "AWS::S3::BucketPolicy": None},
        arns=("arn:PARTITION:s3:::NAME", "arn:PARTITION:s3:::NAME/*"),
        manage=("s3:*",),
    ),
    Service.SQS: Facts(
        types={"AWS::SQS::Queue": "queue_name", "AWS::SQS::QueuePolicy": None},
        arns=("arn:PARTITION:sqs:REGION:ACCOUNT:NAME",),
        manage=("sqs:*",),
        read=("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"),
    ),
    Service.SNS: Facts(
        types={"AWS::SNS::Topic": "topic_name", "AWS::SNS::TopicPolicy": None, "AWS::SNS::Subscription": None},
        arns=("arn:PARTITION:sns:REGION:ACCOUNT:NAME",),
        manage=("sns:*",),
    ),
    Service.SES: Facts(
        types={"AWS::SES::EmailIdentity": "email_identity"},
        arns=("arn:PARTITION:ses:REGION:ACCOUNT:identity/NAME",),
        manage=("ses:*EmailIdentity*", "ses:*Tag*"),
        read=("ses:GetEmailIdentity", "ses:ListTagsForResource"),
    ),
}
ALARM = "AWS::CloudWatch::Alarm"


def arns(owned: Owned, name: str) -> tuple[str, ...]:
    """Return the ARNs of a resource by its physical name, which may be a pattern."""
    found = tuple(arn.replace("NAME", name) for arn in SERVICES[owned.service].arns)
    return (*found, f"{found[0]}/index/*") if owned.indexes else found


def filled_in(arn: str, stack: cdk.Stack) -> str:
    """Replace the placeholders of an ARN."""
    values = {"PARTITION": stack.partition, "REGION": stack.region, "ACCOUNT": stack.account}
    for placeholder, value in values.items():
        arn = arn.replace(placeholder, value)
    return arn


def patterns(owned: Owned, project: str) -> tuple[str, ...]:
    """Return the ARNs of a resource in every stage."""
    if owned.service is Service.SES:
        return arns(owned, owned.name)
    where = ("ACCOUNT", "REGION") if owned.service is Service.S3 else ()
    return arns(owned, "-".join((project, "*", *filter(None, (owned.name,)), *where)))


def services(owns: Iterable[Owned]) -> list[Service]:
    """Return the services of the entries, each once, in the order of the allowlist."""
    used = {owned.service for owned in owns}
    return [service for service in SERVICES if service in used]
