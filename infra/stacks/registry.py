"""ECR repository that the stages share, so that all run the same digest."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam

from infra.config import REPOSITORY
from infra.model import Stage
from infra.stacks.base import BaseStack

RELEASES_KEPT = 30
"""Images of each stage that a rollback can choose from, and images whose deployment was tried."""
UNRELEASED_DAYS = 14
"""Lifetime of images that no release has deployed."""


class RegistryStack(BaseStack):
    """The repository of the stages that use this registry; $0.10 per GB and month.

    Termination protection prevents `cdk destroy --all` of one stage from deleting this stack, which stages share. If it
    is deleted anyway, the repository is retained, because rollbacks need its images, and
    `cdk deploy` with `--import-existing-resources` adopts it.
    """

    def __init__(self, scope: cdk.App, construct_id: str, *, stages: Sequence[Stage], **kwargs: Any) -> None:
        """`stages` are in order of precedence: an image of several stages only counts for the first one."""
        super().__init__(scope, construct_id, termination_protection=True, **kwargs)
        repository = ecr.Repository(
            self,
            "Images",
            repository_name=REPOSITORY,  # releases push to it, and other stacks pull from it, by this name
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,  # for Security Hub (ECR.1); releases depend on Trivy's findings
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            # CDK numbers them in this order. The first rule that selects an image decides about it.
            lifecycle_rules=[
                *(
                    ecr.LifecycleRule(
                        description=f"keep the last {RELEASES_KEPT} {what} in {stage.name}",
                        tag_prefix_list=[f"{prefix}{stage.name}-"],
                        max_image_count=RELEASES_KEPT,
                    )
                    for stage in stages
                    # An image that runs in prod without having been verified must not expire with those of dev.
                    for prefix, what in (("", "verified"), ("try.", "tried"))
                ),
                ecr.LifecycleRule(
                    description="expire images that no release has deployed",
                    max_image_age=cdk.Duration.days(UNRELEASED_DAYS),
                ),
            ],
        )
        # Stages with a registry_account are in another account and pull from this one.
        for account in sorted({stage.account for stage in stages if stage.account and stage.registry_account}):
            principal = iam.AccountPrincipal(account)
            repository.grant_pull(principal)
            # A release in that account tags what it has deployed.
            repository.grant(principal, "ecr:DescribeImages", "ecr:PutImage")
        cdk.CfnOutput(self, "RepositoryUri", value=repository.repository_uri)
