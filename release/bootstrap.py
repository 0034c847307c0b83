"""Prepares an account for releases; run once: `python -m release.bootstrap STAGE [--github OWNER/NAME]`.

Deploys the access stack, then CDK's bootstrap with the policy from that stack. With the bootstrap's default policy,
CloudFormation would have administrator permissions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil

from infra.permissions import ISSUER, trusts
from infra.stages import ACCESS_STACK, Repository, Stage, stage_named, stages_in_account_of
from release import stacks
from release.aws import Aws
from release.command import Steps, run, run_command
from release.deploy import Cdk
from release.errors import CommandError, DeploymentError, NotReadyError
from release.stacks import outputs

SERVICE_LINKED_ROLES = (
    "ecs.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
)
"""AWS creates them with an account's first cluster, load balancer and scalable service, but they may not be available
when the same deployment needs them."""
_IDS = "--jq '.full_name, .owner.id, .id'"


def bootstrap(stage: Stage, *, github: str | None, steps: Steps) -> None:
    """Prepare the account of a stage for releases; safe to repeat. `github` must be the stage's repository."""
    if github:
        require_repository(stage, github)
    with steps.step(f"account for {stage.name}"):
        aws = Aws.of(stage)
        steps.note(f"account {aws.account}, region {aws.region}")
        if stage.github and stage.github.create_provider and provider_exists(aws):
            raise NotReadyError(
                "the account already has an identity provider for GitHub: set create_provider=False of the Repository"
                " in infra/stages.py, then run this again"
            )
    cdk = Cdk(aws, steps.note)
    with steps.step("access"):
        for line in [*describe_roles(stage), *describe_isolation(stage)]:
            steps.note(line)
        cdk.deploy(ACCESS_STACK)
        policy = outputs(aws.cloudformation, ACCESS_STACK).get("ExecutionPolicyArn")
        if not policy:
            raise DeploymentError(f"{ACCESS_STACK} has no output ExecutionPolicyArn: deploy it from this commit again")
    with steps.step("service-linked roles"):
        for service in SERVICE_LINKED_ROLES:
            steps.note(f"{service}: {'created' if create_service_linked_role(aws, service) else 'exists'}")
    with steps.step("CDK's bootstrap"):
        cdk.bootstrap(policy)
    for key, value in outputs(aws.cloudformation, ACCESS_STACK).items():
        steps.result(f"{key}  {value}")


def require_repository(stage: Stage, github: str) -> None:
    """Raise NotReadyError with the line to add unless infra/stages.py has the repository and its IDs."""
    known = stage.github if stage.github and stage.github.name.lower() == github.lower() else None
    if not shutil.which("gh"):
        if known:
            return
        raise NotReadyError(
            f"the IDs of {github} must be in infra/stages.py, and gh is not installed to look them up",
            f"1. on a machine where gh is signed in, run: gh api repos/{github} {_IDS}",
            f"   or, for a public repository: curl -s https://api.github.com/repos/{github} (owner.id and id)",
            "2. set the name and both IDs in infra/stages.py, then run this again:",
            f'   GITHUB: Repository | None = Repository(name="{github}", owner_id=OWNER_ID, repository_id=ID)',
        )
    found = look_up_repository(github)
    expected = (found.name, found.owner_id, found.repository_id)
    if known and (known.name, known.owner_id, known.repository_id) == expected:
        return
    raise NotReadyError(
        f"infra/stages.py {'has other IDs of' if known else 'does not have'} {found.name}: set this line, then run"
        " this again",
        f'GITHUB: Repository | None = Repository(name="{found.name}", owner_id={found.owner_id},'
        f" repository_id={found.repository_id})",
        "Add accept_name_subject=True if the repository was created before 15 July 2026 and has not opted in to"
        " immutable subjects.",
    )


def look_up_repository(github: str) -> Repository:
    """Look up the name and the IDs of a repository on GitHub; raise NotReadyError if gh fails."""
    query = "{name: .full_name, owner_id: .owner.id, repository_id: .id}"
    try:
        lines = run(["gh", "api", f"repos/{github}", "--jq", query], environment=os.environ)
        return Repository(**json.loads(lines[-1]))
    except CommandError as error:
        raise NotReadyError(f"gh can't look up {github}: is it signed in (gh auth status)?", *error.details) from error


def describe_roles(stage: Stage) -> list[str]:
    """Return a line for each role and the workflow runs that may assume it."""
    if not stage.github:
        return ["no GitHub repository may deploy: run make bootstrap GITHUB=owner/name to allow one"]
    return [f"{trust.role}: {trust.why}" for trust in trusts(stages_in_account_of(stage))]


def describe_isolation(stage: Stage) -> list[str]:
    """Return a warning if a protected stage shares its account with other stages."""
    stages = [] if stage.is_playground or not stage.github else stages_in_account_of(stage)
    protected = ", ".join(each.name for each in stages if each.protect)
    others = " and ".join("previews" if each.is_preview else each.name for each in stages if not each.protect)
    if not protected or not others:
        return []
    previews = any(each.is_preview for each in stages)
    anyone = ", including any pull request from a branch of the repository," if previews else ""
    return [
        (
            f"{protected} shares its account with {others}. CloudFormation has the same permissions for all of them, so"
            f" {protected} is protected only by GitHub's environments and reviews: anyone who may deploy"
            f" {others}{anyone} can change the resources of {protected}."
        ),
        f"To separate them, set account of {protected} and of the others in infra/stages.py to different accounts.",
    ]


def create_service_linked_role(aws: Aws, service: str) -> bool:
    """Create the service-linked role of an AWS service; return False if it exists."""
    iam = aws.untyped("iam")
    try:
        iam.create_service_linked_role(AWSServiceName=service)
    except iam.exceptions.InvalidInputException as error:
        if "has been taken" not in str(error):
            raise
        return False
    except iam.exceptions.EntityAlreadyExistsException:
        return False
    return True


def provider_exists(aws: Aws) -> bool:
    """Return whether GitHub's identity provider exists and was not created by the access stack."""
    if stacks.describe(aws.cloudformation, ACCESS_STACK):
        resources = aws.cloudformation.describe_stack_resources(StackName=ACCESS_STACK)["StackResources"]
        if any(resource["ResourceType"] == "AWS::IAM::OIDCProvider" for resource in resources):
            return False
    providers = aws.untyped("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return any(provider["Arn"].endswith(f"/{ISSUER}") for provider in providers)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m release.bootstrap", description="Prepare an account for releases; run once."
    )
    parser.add_argument("stage", help="dev, prod, playground or pr-N: any stage of the account")
    parser.add_argument(
        "--github", metavar="OWNER/NAME", help="check that this repository and its IDs are in infra/stages.py"
    )
    arguments = parser.parse_args()
    run_command("bootstrap", lambda: bootstrap(stage_named(arguments.stage), github=arguments.github, steps=Steps()))


if __name__ == "__main__":
    main()
