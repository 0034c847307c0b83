"""The CDK app that cdk.json runs: the four stacks of the stage that `-c stage=NAME` chose."""

import os
import sys

import aws_cdk as cdk

from infra.access import AccessStack
from infra.context import Context
from infra.errors import ConfigurationError
from infra.foundation import FoundationStack
from infra.registry import RegistryStack
from infra.service import ServiceStack
from infra.stages import ACCESS_STACK, REGISTRY_STACK, STAGES
from infra.target import Target, synthesis_target


def compose(app: cdk.App, context: Context, target: Target) -> None:
    """Fill the app with the stacks of a stage."""
    stage = context.stage
    here = cdk.Environment(account=target.account, region=target.region)
    images = cdk.Environment(account=stage.registry_account or target.account, region=target.region)

    AccessStack(
        app,
        ACCESS_STACK,
        github=context.github,
        provider_exists=context.provider_exists,
        registry_account=stage.registry_account,
        env=here,
    )
    pulling = [other.account for other in STAGES.values() if other.account and other.registry_account]
    RegistryStack(app, REGISTRY_STACK, used_by_accounts=pulling, env=images)
    FoundationStack(app, stage.foundation_stack, stage=stage, env=here)
    ServiceStack(app, stage.service_stack, stage=stage, digest=context.digest, env=here)


def main() -> None:
    app = cdk.App()
    try:
        context = Context.read(app.node.get_all_context())
        compose(app, context, synthesis_target(context.stage, os.environ))
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    app.synth()


if __name__ == "__main__":
    main()
