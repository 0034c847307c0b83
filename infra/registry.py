"""The home of the images: one repository for all stages, so that prod runs the very digest that dev proved."""

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam

from infra.base import BaseStack, acknowledge
from infra.stages import REPOSITORY

PROVEN_KEPT = 30
"""Images of each stage to roll back to."""
UNPROVEN_DAYS = 14


class RegistryStack(BaseStack):
    """The ECR repository; $0.10 a GB and month. It outlives its stack: images are what a rollback needs."""

    def __init__(
        self, scope: cdk.App, construct_id: str, *, used_by_accounts: Iterable[str] = (), **kwargs: Any
    ) -> None:
        """`used_by_accounts` are other accounts whose stages run these images."""
        super().__init__(scope, construct_id, **kwargs)
        self.repository = ecr.Repository(
            self,
            "Images",
            repository_name=REPOSITORY,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[
                *(
                    ecr.LifecycleRule(
                        rule_priority=priority,
                        description=f"keep the last {PROVEN_KEPT} that ran in {stage}",
                        tag_prefix_list=[f"{stage}-"],
                        max_image_count=PROVEN_KEPT,
                    )
                    for priority, stage in enumerate(("prod", "dev"), start=1)
                ),
                ecr.LifecycleRule(
                    rule_priority=3,
                    description="expire what no stage proved",
                    tag_status=ecr.TagStatus.ANY,
                    max_image_age=cdk.Duration.days(UNPROVEN_DAYS),
                ),
            ],
        )
        for account in sorted(set(used_by_accounts)):
            principal = iam.AccountPrincipal(account)
            self.repository.grant_pull(principal)
            # A release there waits for the scan, and marks what it proved.
            self.repository.grant(principal, "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:PutImage")
        acknowledge(
            self.repository,
            {"CKV_AWS_136": "encrypted by AWS's key: the images hold no secret, and a key of ours is $1 a month"},
        )
        cdk.CfnOutput(self, "RepositoryUri", value=self.repository.repository_uri)
