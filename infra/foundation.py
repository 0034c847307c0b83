"""What must outlive a deployment of a stage: the table, the moderator's secret, the log groups and the log bucket."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager

from infra.base import BaseStack, acknowledge
from infra.stages import Stage

ACCESS_LOG_PREFIX = "alb"
_AWS_KEY = "encrypted by AWS's key; one of ours is $1 a month and one more thing to lose"


class FoundationStack(BaseStack):
    """A stage's state. Names come from the stage, so that no export ties the service to it."""

    def __init__(self, scope: cdk.App, construct_id: str, *, stage: Stage, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, termination_protection=stage.protect, **kwargs)
        cdk.Tags.of(self).add("stage", stage.name)
        self._removal = cdk.RemovalPolicy.RETAIN if stage.protect else cdk.RemovalPolicy.DESTROY
        self.table = self._comment_table(stage)
        self.moderator = self._moderator_secret(stage)
        for construct_id_, name in (
            ("AppLogs", stage.app_log_group),
            ("FlowLogs", stage.flow_log_group),
            ("WafLogs", stage.waf_log_group),
        ):
            self._log_group(construct_id_, name, stage)
        self.log_bucket = self._access_log_bucket(stage)

    def _comment_table(self, stage: Stage) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Comments",
            table_name=stage.table,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=stage.protect,
            removal_policy=self._removal,
        )
        acknowledge(table, {"CKV_AWS_119": _AWS_KEY})
        return table

    def _moderator_secret(self, stage: Stage) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            "Moderator",
            secret_name=stage.moderator_secret,
            description=f"The moderator's bearer token of {stage.name}",
            generate_secret_string=secretsmanager.SecretStringGenerator(exclude_punctuation=True, password_length=40),
            removal_policy=self._removal,
        )
        acknowledge(
            secret,
            {
                "AwsSolutions-SMG4": "people hold this token; they rotate it by hand, and a restart takes it up",
                "CKV_AWS_149": _AWS_KEY,
            },
        )
        return secret

    def _log_group(self, construct_id: str, name: str, stage: Stage) -> None:
        group = logs.LogGroup(
            self,
            construct_id,
            log_group_name=name,
            retention=_retention(stage.log_days),
            removal_policy=self._removal,
        )
        acknowledge(
            group,
            {
                "CKV_AWS_158": _AWS_KEY,
                "CKV_AWS_338": "logs hold addresses of readers; a stage keeps them for its log_days and no longer",
            },
        )

    def _access_log_bucket(self, stage: Stage) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=stage.log_bucket(account=self.account, region=self.region),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    expiration=cdk.Duration.days(stage.log_days),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=self._removal,
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(f"{ACCESS_LOG_PREFIX}/AWSLogs/{self.account}/*")],
            )
        )
        acknowledge(
            bucket,
            {
                "AwsSolutions-S1": "this is the log bucket; logging it into itself has no end",
                "CKV_AWS_18": "this is the log bucket; logging it into itself has no end",
                "CKV_AWS_21": "access logs are written once and expire; a version of them helps nobody",
            },
        )
        return bucket


def _retention(days: int) -> logs.RetentionDays:
    """Return CloudWatch's own name of a period, or raise ValueError: it knows only some."""
    periods = {
        1: logs.RetentionDays.ONE_DAY,
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        90: logs.RetentionDays.THREE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
    }
    if days not in periods:
        raise ValueError(f"log_days is {days}: it is one of {', '.join(map(str, periods))}")
    return periods[days]
