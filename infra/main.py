"""The CDK app that cdk.json runs: the four stacks of the stage that `-c stage=NAME` chose."""

import os
import sys
from collections.abc import Mapping

import aws_cdk as cdk
import cdk_nag

from infra.access import AccessStack
from infra.context import Context
from infra.errors import ConfigurationError
from infra.foundation import FoundationStack
from infra.registry import RegistryStack
from infra.service import ServiceStack
from infra.stages import ACCESS_STACK, REGISTRY_STACK, STAGES
from infra.target import synthesis_target


def compose(app: cdk.App, environ: Mapping[str, str]) -> None:
    """Fill the app with the stacks of its context's stage; raise ConfigurationError."""
    context = Context.read(app.node.get_all_context())
    stage = context.stage
    target = synthesis_target(stage, environ)
    here = cdk.Environment(account=target.account, region=target.region)
    images = cdk.Environment(account=stage.registry_account or target.account, region=target.region)

    AccessStack(app, ACCESS_STACK, github=context.github, env=here)
    others = (other.account for other in STAGES.values() if other.registry_account)
    RegistryStack(app, REGISTRY_STACK, pulled_by_accounts=filter(None, others), env=images)
    FoundationStack(app, stage.foundation_stack, stage=stage, env=here)
    ServiceStack(app, stage.service_stack, stage=stage, digest=context.digest, env=here)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))


def main() -> None:
    app = cdk.App()
    try:
        compose(app, os.environ)
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    app.synth()


if __name__ == "__main__":
    main()
