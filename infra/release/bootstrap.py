"""Prepares an account, once: `python -m infra.release.bootstrap STAGE [--github OWNER/NAME]`.

First who may deploy and what CloudFormation may do, then CDK's own bucket and roles, which take that policy: without it
CloudFormation would be an administrator of the account.
"""

from __future__ import annotations

import argparse

from infra.release import stacks
from infra.release.aws import Aws
from infra.release.command import run_command
from infra.release.deploy import Cdk
from infra.release.errors import DeploymentError
from infra.release.stacks import outputs
from infra.release.steps import Steps
from infra.stages import ACCESS_STACK, Stage, stage_named
from infra.trusts import ISSUER


def bootstrap(stage: Stage, *, github: str | None, steps: Steps) -> None:
    """Bring the account of a stage to where releases can begin; safe to repeat."""
    with steps.step(f"account for {stage.name}"):
        aws = Aws.of(stage)
        steps.note(f"account {aws.account}, region {aws.region}")
    cdk = Cdk(aws, steps.note)
    with steps.step("access"):
        if not github:
            steps.note("no GitHub repository may deploy: name one with GITHUB=owner/name")
            cdk.deploy(ACCESS_STACK)
        elif provider_exists(aws):
            steps.note("the account has GitHub's identity provider from elsewhere, which is used")
            cdk.deploy(ACCESS_STACK, context={"github": github, "github_provider": "existing"})
        else:
            cdk.deploy(ACCESS_STACK, context={"github": github})
        policy = outputs(aws.cloudformation, ACCESS_STACK).get("ExecutionPolicyArn")
        if not policy:
            raise DeploymentError(f"{ACCESS_STACK} has no output ExecutionPolicyArn: deploy it from this commit again")
    with steps.step("CDK's bootstrap"):
        cdk.bootstrap(policy)
    for key, value in outputs(aws.cloudformation, ACCESS_STACK).items():
        steps.result(f"{key}  {value}")


def provider_exists(aws: Aws) -> bool:
    """Return whether something else than our own stack has brought GitHub's identity provider."""
    if stacks.describe(aws.cloudformation, ACCESS_STACK):
        resources = aws.cloudformation.describe_stack_resources(StackName=ACCESS_STACK)["StackResources"]
        if any(resource["ResourceType"] == "AWS::IAM::OIDCProvider" for resource in resources):
            return False
    providers = aws.untyped("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return any(provider["Arn"].endswith(f"/{ISSUER}") for provider in providers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.release.bootstrap", description="Prepare an account, once.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N: any stage of the account")
    parser.add_argument("--github", metavar="OWNER/NAME", help="the repository whose workflows may deploy")
    arguments = parser.parse_args()
    run_command("bootstrap", lambda: bootstrap(stage_named(arguments.stage), github=arguments.github, steps=Steps()))


if __name__ == "__main__":
    main()
