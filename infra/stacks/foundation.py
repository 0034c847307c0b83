"""Stateful stack of a stage: the workload's own resources and secrets, the log groups and the bucket of access logs."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager

from infra.config import WORKLOAD, own_resources, protected_stacks
from infra.constructs import cfn_resource
from infra.constructs.load_balancer import ACCESS_LOG_PREFIX
from infra.findings import acknowledge
from infra.model import Secret, Stage, camel_case
from infra.owned import require_owned, resource_paths
from infra.stacks.base import BaseStack


class FoundationStack(BaseStack):
    """Resources that outlive the service stack.

    Each has a physical name, because the service stack refers to it by name: a CloudFormation export would lock both
    stacks. A protected stage retains everything on deletion, except after a failed first creation, because retained
    names would block the next attempt.
    """

    def __init__(self, scope: cdk.App, construct_id: str, *, stage: Stage, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, stage_name=stage.name, termination_protection=stage.protect, **kwargs)
        self._stage = stage
        self._removal = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if stage.protect else cdk.RemovalPolicy.DESTROY
        if own := own_resources():
            before = resource_paths(self)
            own.add_data_resources(self, stage=stage, removal_policy=self._removal)
            require_owned(self, before=before, owns=WORKLOAD.owns, stage=stage)
        self._protect_tables()
        for secret in WORKLOAD.secrets:
            if secret.needed_by(stage):
                self._add_secret(secret)
        names = {"AppLogs": stage.app_log_group, "FlowLogs": stage.flow_log_group, "WafLogs": stage.waf_log_group}
        for log_id, name in names.items():
            group = logs.LogGroup(self, log_id, log_group_name=name, removal_policy=self._removal)
            # A number instead of the name that CDK has for it.
            cfn_resource(group).add_property_override("RetentionInDays", stage.log_days)
        self._add_access_log_bucket()

    def _protect_tables(self) -> None:
        """Protect the workload's tables as the parameter says, or, in a stage without protection, not at all."""
        protected: bool | cdk.IResolvable = False
        if self.stack_name in protected_stacks(self._stage):
            given = cdk.Fn.condition_equals(self.add_protection_parameter().value_as_string, "true")
            cdk.CfnCondition(self, "Protected", expression=given)
            protected = cdk.Fn.condition_if("Protected", True, False)
        for each in self.node.find_all():
            if isinstance(each, dynamodb.CfnTable):
                each.deletion_protection_enabled = protected
            elif isinstance(each, dynamodb.CfnGlobalTable):
                for index, _ in enumerate(self.resolve(each.replicas)):
                    each.add_property_override(f"Replicas.{index}.DeletionProtectionEnabled", protected)

    def _add_secret(self, secret: Secret) -> None:
        created = secretsmanager.Secret(
            self,
            camel_case(secret.name),
            secret_name=self._stage.secret_name(secret),
            description=f"{secret.description} of {self._stage.name}",
            secret_string_value=cdk.SecretValue.unsafe_plain_text(secret.initial) if secret.initial else None,
            # 40 letters and digits: 238 bits, safe in headers and shells
            generate_secret_string=(
                None
                if secret.initial
                else secretsmanager.SecretStringGenerator(exclude_punctuation=True, password_length=40)
            ),
            removal_policy=self._removal,
        )
        acknowledge(created, {"SMG4": "secrets are rotated manually (docs/operations.md)"})

    def _add_access_log_bucket(self) -> None:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=self._stage.log_bucket(account=self.account, region=self.region),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,  # AWS: load balancers support no other encryption
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    expiration=cdk.Duration.days(self._stage.log_days),
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
        acknowledge(bucket, {"S1": "this bucket contains the access logs"})
