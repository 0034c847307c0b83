"""Base class of the stacks: bootstrap settings, tags, and availability zones without a lookup."""

from typing import Any

import aws_cdk as cdk

from infra.config import BOOTSTRAP_QUALIFIER, PROJECT, PROTECTION_PARAMETER
from infra.permissions import STACK_DEPLOYER

ZONES = 2


class BaseStack(cdk.Stack):
    """A stack that synthesizes without an account or credentials."""

    def __init__(self, scope: cdk.App, construct_id: str, *, stage_name: str | None = None, **kwargs: Any) -> None:
        synthesizer = kwargs.pop("synthesizer", None) or cdk.DefaultStackSynthesizer(
            qualifier=BOOTSTRAP_QUALIFIER,
            deploy_role_arn=f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{STACK_DEPLOYER}",
        )
        super().__init__(scope, construct_id, synthesizer=synthesizer, **kwargs)
        cdk.Tags.of(self).add("project", PROJECT)
        if stage_name:
            cdk.Tags.of(self).add("stage", stage_name)

    def add_protection_parameter(self) -> cdk.CfnParameter:
        """Return the parameter for deletion protection, which a release switches on once it has verified the stage.

        CloudFormation can't delete protected resources, so a first deployment that fails could not be rolled back.
        """
        return cdk.CfnParameter(
            self,
            PROTECTION_PARAMETER,
            description="Whether the load balancer or the tables are protected from deletion",
            allowed_values=["true", "false"],
            default="true",
        )

    @property
    def availability_zones(self) -> list[str]:
        """The region's first zones, selected by CloudFormation at deployment."""
        return [cdk.Fn.select(index, cdk.Fn.get_azs()) for index in range(ZONES)]
