"""Roles of GitHub's workflows, the permissions boundary, and what each account gets of them."""

import json
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pytest

from infra import execution_policy
from infra.boundary import boundary
from infra.checks import policy_problems
from infra.config import STAGES, WORKLOAD, stage_named, stages_in_account_of, stages_in_registry_of
from infra.permissions import DEPLOY_STACKS, ISSUER, READ, WORKFLOW_ROLES, workflow_roles
from tests.infra.synthesis import (
    ACCOUNT,
    GITHUB,
    REGION,
    actions_of,
    every,
    grants,
    iam_actions,
    list_of,
    statements_of,
    synthesize,
    templates,
    text,
    the,
)

ALL_STATEMENTS = {
    *(statement for role in WORKFLOW_ROLES for statement in role.statements),
    *execution_policy.statements(WORKLOAD.owns),
    *DEPLOY_STACKS,
    *boundary(WORKLOAD.owns),
}
RUNS = {
    "notes-deploy-dev": ["environment:dev"],
    "notes-deploy-prod": ["environment:prod"],
    "notes-read": ["ref:refs/heads/main"],
}
DEV, PROD = STAGES["dev"], STAGES["prod"]
ONE, TWO = "111111111111", "222222222222"


def roles(name: str = "dev", **fields: Any) -> dict[str, dict[str, Any]]:
    """Return the roles of the access stack of dev, or of another stage, with other fields, by name."""
    return {role["RoleName"]: role for role in every(templates(name, **fields).access, "AWS::IAM::Role")}


@pytest.mark.parametrize("accept_name", [False, True])
def test_a_role_trusts_workflow_runs_of_one_repository_by_its_ids(accept_name: bool) -> None:
    """A name alone is never enough: somebody else may register it once it is abandoned."""
    github = replace(GITHUB, accept_name_subject=accept_name)
    ((provider, resource),) = templates(github=github).access.find_resources("AWS::IAM::OIDCProvider").items()
    assert resource["Properties"].items() >= {"ClientIdList": ["sts.amazonaws.com"], "Url": f"https://{ISSUER}"}.items()
    found = roles(github=github)
    assert found.keys() == {"notes-cdk-deploy", *RUNS}
    for name, runs in RUNS.items():
        (statement,) = found[name]["AssumeRolePolicyDocument"]["Statement"]
        names = ["example@1001/notes@2002", "example/notes"][: 1 + accept_name]
        subjects = [f"repo:{name}:{run}" for run in runs for name in names]
        trusted = {"aud": "sts.amazonaws.com", "repository_id": "2002", "sub": subjects}
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert statement["Principal"] == {"Federated": {"Fn::GetAtt": [provider, "Arn"]}}
        assert statement["Condition"] == {"StringEquals": {f"{ISSUER}:{key}": value for key, value in trusted.items()}}


def test_without_a_repository_nothing_on_github_is_trusted() -> None:
    assert roles(github=None).keys() == {"notes-cdk-deploy"}
    templates(github=None).access.resource_count_is("AWS::IAM::OIDCProvider", 0)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_stage_and_its_role_use_one_repository(stage: str) -> None:
    found = templates(stage)
    (logical,) = found.access.find_resources("AWS::IAM::Role", {"Properties": {"RoleName": f"notes-deploy-{stage}"}})
    workflow = grants(statements_of(found.access, logical))
    tasks = grants(statements_of(found.service))
    for action, allowed in (("ecr:PutImage", workflow), ("ecr:BatchGetImage", tasks)):
        (resource,) = {each for name, each in allowed if name == action and "guardduty" not in each}
        assert resource.endswith(":repository/notes")
    assert "/notes@" in str(the(found.service, "AWS::ECS::TaskDefinition")["ContainerDefinitions"])


def test_the_reading_role_changes_nothing_and_reads_no_content() -> None:
    harmless = ("Describe", "BatchDescribe", "Get", "List", "View", "Filter", "Start", "Detect")
    assert [action for action in actions_of(READ) if not action.split(":")[1].startswith(harmless)] == []
    content = {"dynamodb:GetItem", "s3:GetObject", "secretsmanager:GetSecretValue", "ecr:GetDownloadUrlForLayer"}
    assert not [action for action in content for granted in actions_of(READ) if fnmatch(action, granted)]


def test_an_account_has_only_the_roles_of_its_own_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [stage.name for stage in stages_in_account_of(DEV)] == ["dev", "prod"], "that of the credentials"
    monkeypatch.setitem(STAGES, "prod", replace(PROD, account=TWO))
    for name in ("dev", "prod"):
        found = {role.name for role in workflow_roles(stages_in_account_of(stage_named(name)))}
        assert found == {f"notes-deploy-{name}", "notes-read"}


def test_an_update_from_1_0_deletes_the_repository_of_previews_and_may_do_so() -> None:
    """CloudFormation deletes it with the policy of this version, together with its images (EmptyOnDelete)."""
    assert the(templates().registry, "AWS::ECR::Repository")["RepositoryName"] == "notes"
    policy = the(templates().access, "AWS::IAM::ManagedPolicy", {"ManagedPolicyName": execution_policy.NAME})
    allowed = grants(policy["PolicyDocument"]["Statement"])
    for action in ("ecr:DeleteRepository", "ecr:BatchDeleteImage"):
        assert any(
            fnmatch(action, name) and resource.endswith(":repository/notes-previews") for name, resource in allowed
        ), action


def test_a_stage_may_pull_and_tag_images_of_another_account_but_not_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the role's policy and the repository's must allow it."""
    dev, prod = replace(DEV, account=ONE), replace(PROD, account=TWO, registry_account=ONE)
    monkeypatch.setitem(STAGES, "dev", dev)
    monkeypatch.setitem(STAGES, "prod", prod)
    assert stages_in_registry_of(dev) == stages_in_registry_of(prod)
    found = synthesize(prod)
    assert f":{ONE}:repository/notes" in str(every(found.service, "AWS::IAM::Policy"))
    statements = the(found.registry, "AWS::ECR::Repository")["RepositoryPolicyText"]["Statement"]
    actions = {action for statement in statements for action in list_of(statement["Action"])}
    assert {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"} <= actions
    assert not {"ecr:UploadLayerPart", "ecr:InitiateLayerUpload"} & actions
    assert all(TWO in str(statement["Principal"]) for statement in statements)
    monkeypatch.setenv("CONFIRM_ENV", "prod")
    assert the(synthesize(stage_named("confirm")).registry, "AWS::ECR::Repository")["RepositoryName"] == "notes"


@pytest.mark.parametrize("name", ["dev", "prod", "playground"])
def test_every_role_of_a_service_stack_has_the_boundary_which_allows_what_it_needs(name: str) -> None:
    found = templates(name, account=ACCOUNT, region=REGION)
    for role in every(found.service, "AWS::IAM::Role"):
        assert text(role["PermissionsBoundary"]) == f"arn:aws:iam::{ACCOUNT}:policy/notes-boundary"
        assert "ManagedPolicyArns" not in role
        assert "RoleName" not in role, "the policy of CloudFormation allows NotesService-*"
    assert not every(found.data, "AWS::IAM::Role") + every(found.registry, "AWS::IAM::Role")
    boundary = the(found.access, "AWS::IAM::ManagedPolicy", {"ManagedPolicyName": "notes-boundary"})
    allowed = grants(boundary["PolicyDocument"]["Statement"])
    for action, resource in grants(statements_of(found.service)):
        # CDK lets the role of flow logs pass itself, which nothing needs.
        assert action == "iam:PassRole" or any(
            action == name_ and fnmatch(resource, pattern) for name_, pattern in allowed
        ), (action, resource)


def test_the_access_stack_and_its_policies_are_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS: 51,200 bytes for a template without a bucket, and 6,144 characters without white space for a policy."""
    for name in ("qa", "staging", "demo", "training"):
        monkeypatch.setitem(STAGES, name, replace(DEV, name=name))
    access = templates("qa", account=ACCOUNT, region=REGION).access
    assert len(json.dumps(access.to_json(), indent=1)) < 51_200
    assert list(policy_problems(access.to_json())) == []


def test_every_action_exists_and_supports_the_resources_of_its_statement() -> None:
    """IAM accepts both mistakes silently, and then allows nothing."""
    for statement in ALL_STATEMENTS:
        for action in statement.actions:
            meant = iam_actions(action).values()
            assert meant, f"AWS has no action {action}"
            limited = statement.resources != ("*",)
            assert not limited or any(each.get("Resources") for each in meant), f"{action} supports no resource"
