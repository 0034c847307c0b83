"""Prepares an account for releases; run once: `python -m release bootstrap STAGE [--github OWNER/NAME]`.

Deploys the access stack, then CDK's bootstrap with the policy from that stack. With the bootstrap's default policy,
CloudFormation would have administrator permissions.
"""

import json

from infra.boundary import GRANTED_TAG, not_granted
from infra.config import (
    ACCESS_STACK,
    BOOTSTRAP_QUALIFIER,
    TOOLKIT_STACK,
    WORKLOAD,
    stages_in_account_of,
)
from infra.model import Stage
from infra.permissions import ISSUER, workflow_roles
from release.aws import Aws
from release.command import CommandError, NotReadyError, run
from release.deploy import cdk, deploy, describe, outputs
from release.display import note, step
from release.quotas import require_quotas

SERVICE_LINKED_ROLES = (
    "ecs.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
)
"""AWS creates them with an account's first cluster, load balancer and scalable service, but they may not be available
when the same deployment needs them."""


def bootstrap(stage: Stage, *, github: str | None) -> None:
    """Prepare the account of a stage for releases; safe to repeat. `github` must be the stage's repository."""
    if github:
        require_repository(stage, github)
    aws = Aws.of(stage)
    if stage.github and stage.github.create_provider and provider_exists(aws):
        raise NotReadyError(
            "the account already has an identity provider for GitHub: set create_provider=False of the Repository"
            " in infra/stages.py, then run this again"
        )
    with step(f"roles in account {aws.account}, region {aws.region}"):
        for line in [*describe_roles(stage), *describe_isolation(stage)]:
            note(line)
        deploy(aws, ACCESS_STACK)
        for service in SERVICE_LINKED_ROLES:
            create_service_linked_role(aws, service)
    access = outputs(aws, ACCESS_STACK)
    with step("quotas"):
        try:
            require_quotas(aws)
        except NotReadyError as error:
            note(f"the first deployment will be refused: {error.summary}")
    with step("CDK's bootstrap"):
        place, policy = f"aws://{aws.account}/{aws.region}", access["ExecutionPolicyArn"]
        names = [f"--qualifier={BOOTSTRAP_QUALIFIER}", f"--toolkit-stack-name={TOOLKIT_STACK}"]
        cdk(aws, "bootstrap", place, *names, f"--cloudformation-execution-policies={policy}")
    for key, value in access.items():
        print(f"{key}  {value}")


def require_bootstrapped(aws: Aws) -> None:
    """Raise NotReadyError if the account is not bootstrapped, or not for what the workload owns now."""
    command = f"make bootstrap ENV={aws.stage.name}"
    if not describe(aws, TOOLKIT_STACK):
        if aws.stage.is_playground:  # `make playground` bootstraps it once
            raise NotReadyError("the playground was started for a workload of another name: run `make playground-down`")
        raise NotReadyError(f"aws://{aws.account}/{aws.region} is not bootstrapped: run `{command}` once")
    access = describe(aws, ACCESS_STACK)
    tags = {tag["Key"]: tag["Value"] for tag in access.get("Tags", [])} if access else {}
    if not any(key.startswith(GRANTED_TAG) for key in tags):
        return  # bootstrapped by a release that didn't record it
    if services := not_granted(WORKLOAD.owns, tags):
        raise NotReadyError(
            f"the roles of this account lack permissions for what owns in infra/workload.py has"
            f" ({', '.join(services)}): run `{command}` with an administrator's credentials first"
        )


def require_repository(stage: Stage, github: str) -> None:
    """Look up the repository on GitHub; raise NotReadyError with the line to set if infra/stages.py doesn't match."""
    try:
        found = json.loads("".join(run(["gh", "api", f"repos/{github}"])))
    except (CommandError, NotReadyError) as error:
        raise NotReadyError(
            f"gh can't look up {github}: install it and sign in (gh auth login), or set GITHUB in infra/stages.py to"
            f" the full_name, owner.id and id that https://api.github.com/repos/{github} returns, and run this without"
            " GITHUB",
            *(error.details or [error.summary]),
        ) from error
    name, owner_id, repository_id = found["full_name"], found["owner"]["id"], found["id"]
    known = stage.github
    if not known or (known.name, known.owner_id, known.repository_id) != (name, owner_id, repository_id):
        raise NotReadyError(
            f"infra/stages.py does not have {name} with these IDs: replace its GITHUB line with this one, then run this"
            " again",
            f'GITHUB: Repository | None = Repository(name="{name}", owner_id={owner_id},'
            f" repository_id={repository_id})",
            "Add accept_name_subject=True if the repository was created before 15 July 2026 and has not opted in to"
            " immutable subjects.",
        )


def describe_roles(stage: Stage) -> list[str]:
    """Return a line for each role and the workflow runs that may assume it."""
    if not stage.github:
        return ["no GitHub repository may deploy: run make bootstrap GITHUB=owner/name to allow one"]
    return [f"{role.name}: {role.description}" for role in workflow_roles(stages_in_account_of(stage))]


def describe_isolation(stage: Stage) -> list[str]:
    """Return a warning if a protected stage shares its account with other stages."""
    stages = [] if stage.is_playground or not stage.github else stages_in_account_of(stage)
    protected = ", ".join(each.name for each in stages if each.protect)
    others = " and ".join(each.name for each in stages if not each.protect)
    if not protected or not others:
        return []
    return [
        (
            f"{protected} shares its account with {others}, and with it CDK's roles: anyone who may deploy {others} can"
            f" change the resources of {protected} and read its data. To separate them, set account of each in"
            " infra/stages.py to a different one (docs/deployment.md, Stages and accounts)."
        )
    ]


def create_service_linked_role(aws: Aws, service: str) -> None:
    """Create the service-linked role of an AWS service unless it exists."""
    iam = aws.untyped("iam")
    try:
        iam.create_service_linked_role(AWSServiceName=service)
        note(f"{service}: service-linked role created")
    except (iam.exceptions.InvalidInputException, iam.exceptions.EntityAlreadyExistsException) as error:
        if "has been taken" not in str(error) and "already exists" not in str(error):
            raise


def provider_exists(aws: Aws) -> bool:
    """Return whether GitHub's identity provider exists and was not created by the access stack."""
    if describe(aws, ACCESS_STACK):
        resources = aws.cloudformation.describe_stack_resources(StackName=ACCESS_STACK)["StackResources"]
        if any(resource["ResourceType"] == "AWS::IAM::OIDCProvider" for resource in resources):
            return False
    providers = aws.untyped("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return any(provider["Arn"].endswith(f"/{ISSUER}") for provider in providers)
