"""ECR repositories: one that all stages share, so that prod runs the very digest that dev ran, and one of previews."""

from collections.abc import Iterable, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam

from infra.stacks.base import BaseStack
from infra.stages import PREVIEW_REPOSITORY, REPOSITORY

RELEASES_KEPT = 30
"""Images of each stage that a rollback can choose from."""
UNRELEASED_DAYS = 14
"""Lifetime of images that no stage has run."""
PREVIEW_DAYS = 30
"""Lifetime of a preview's image; its next deployment builds it again."""


class RegistryStack(BaseStack):
    """The repository; $0.10 a GB and month.

    Termination protection keeps `cdk destroy --all` of one stage from deleting what all stages share. If the stack is
    deleted anyway, the repository is retained, because rollbacks need its images.
    """

    def __init__(
        self,
        scope: cdk.App,
        construct_id: str,
        *,
        stages: Sequence[str],
        previews: bool = False,
        pulling_accounts: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        """`stages` are in order of precedence: an image of several stages counts for the first of them only.

        `previews` adds the repository that previews push to and run from, and no other stage does.
        `pulling_accounts` are other accounts whose stages run these images.
        """
        super().__init__(scope, construct_id, termination_protection=True, **kwargs)
        self.repository = ecr.Repository(
            self,
            "Images",
            repository_name=REPOSITORY,  # releases push to it, and other stacks pull from it, by this name
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            lifecycle_rules=[*_released(stages), _unreleased(priority=len(stages) + 1)],
        )
        for account in sorted(set(pulling_accounts)):
            principal = iam.AccountPrincipal(account)
            self.repository.grant_pull(principal)
            # A release in that account waits for the scan and tags what it has deployed.
            self.repository.grant(principal, "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:PutImage")
        if previews:
            ecr.Repository(
                self,
                "Previews",
                repository_name=PREVIEW_REPOSITORY,  # releases push to it, and previews pull from it, by this name
                image_tag_mutability=ecr.TagMutability.IMMUTABLE,
                image_scan_on_push=True,
                removal_policy=cdk.RemovalPolicy.DESTROY,
                empty_on_delete=True,
                lifecycle_rules=[
                    ecr.LifecycleRule(
                        description="expire old previews",
                        tag_status=ecr.TagStatus.ANY,
                        max_image_age=cdk.Duration.days(PREVIEW_DAYS),
                    )
                ],
            )
        cdk.CfnOutput(self, "RepositoryUri", value=self.repository.repository_uri)


def _released(stages: Sequence[str]) -> list[ecr.LifecycleRule]:
    return [
        ecr.LifecycleRule(
            rule_priority=priority,
            description=f"keep the last {RELEASES_KEPT} that ran in {stage}",
            tag_prefix_list=[f"{stage}-"],
            max_image_count=RELEASES_KEPT,
        )
        for priority, stage in enumerate(stages, start=1)
    ]


def _unreleased(*, priority: int) -> ecr.LifecycleRule:
    return ecr.LifecycleRule(
        rule_priority=priority,
        description="expire images that no stage has run",
        tag_status=ecr.TagStatus.ANY,
        max_image_age=cdk.Duration.days(UNRELEASED_DAYS),
    )
