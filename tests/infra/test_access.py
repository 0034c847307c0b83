import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from infra import execution_policy
from infra.access import AccessStack
from infra.permissions import Statement
from infra.stages import STAGES
from infra.target import Target
from infra.trusts import TRUSTS
from tests.infra.synthesis import every, templates, templates_of, the
from tests.machine import needs

PROJECT = Path(__file__).resolve().parents[2]
STATEMENTS = {statement for trust in TRUSTS for statement in trust.statements} | set(execution_policy.STATEMENTS)
GITHUB = "token.actions.githubusercontent.com"


def role(name: str) -> dict[str, Any]:
    return role_in(templates("dev").access, name)


def role_in(access: Template, name: str) -> dict[str, Any]:
    return the(access, "AWS::IAM::Role", {"RoleName": name})


def actions(name: str) -> set[str]:
    """Return what a role may do."""
    access = templates("dev").access
    (logical,) = access.find_resources("AWS::IAM::Role", {"Properties": {"RoleName": name}})
    found: set[str] = set()
    for policy in every(access, "AWS::IAM::Policy"):
        if {"Ref": logical} in policy["Roles"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                listed = statement["Action"]
                found |= {listed} if isinstance(listed, str) else set(listed)
    return found


@pytest.mark.parametrize(
    ("name", "subjects"),
    [
        ("comments-deploy-dev", ["repo:example/comments:environment:dev"]),
        ("comments-deploy-prod", ["repo:example/comments:environment:prod"]),
        ("comments-preview", ["repo:example/comments:pull_request", "repo:example/comments:ref:refs/heads/main"]),
        ("comments-read", ["repo:example/comments:ref:refs/heads/main", "repo:example/comments:pull_request"]),
    ],
)
def test_a_role_trusts_one_kind_of_workflow_run_of_one_repository(name: str, subjects: list[str]) -> None:
    (statement,) = role(name)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    trusted = statement["Condition"]["StringEquals"]  # never StringLike: a wildcard lets other repositories in
    assert trusted[f"{GITHUB}:aud"] == "sts.amazonaws.com"
    listed = trusted[f"{GITHUB}:sub"]
    assert ([listed] if isinstance(listed, str) else listed) == subjects


def test_prod_can_mark_an_image_but_not_bring_one() -> None:
    assert "ecr:PutImage" in actions("comments-deploy-prod")
    assert "ecr:UploadLayerPart" not in actions("comments-deploy-prod")
    for role_that_builds in ("comments-deploy-dev", "comments-preview"):
        assert {"ecr:PutImage", "ecr:UploadLayerPart"} <= actions(role_that_builds)


def test_the_reading_role_changes_nothing() -> None:
    verbs = {action.split(":")[1] for action in actions("comments-read")}
    harmless = ("Describe", "Get", "List", "Filter", "Start", "Detect")
    assert [verb for verb in verbs if not verb.startswith(harmless)] == []
    assert "sts:AssumeRole" not in actions("comments-read")
    content = {"dynamodb:GetItem", "s3:GetObject", "secretsmanager:GetSecretValue", "ecr:GetDownloadUrlForLayer"}
    assert not [action for action in content for allowed in actions("comments-read") if fnmatch(action, allowed)]


def test_without_a_repository_nothing_on_github_is_trusted() -> None:
    access = templates_of(STAGES["dev"], github=None).access
    access.resource_count_is("AWS::IAM::OIDCProvider", 0)
    access.resource_count_is("AWS::IAM::Role", 0)
    access.resource_count_is("AWS::IAM::ManagedPolicy", 1)


def test_a_provider_that_the_account_has_already_is_trusted_and_not_made_again() -> None:
    app = cdk.App()
    stack = AccessStack(app, "Access", github="example/comments", provider_exists=True)
    access = Template.from_stack(stack)
    access.resource_count_is("AWS::IAM::OIDCProvider", 0)
    trusted = role_in(access, "comments-preview")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Federated"]
    assert str(trusted).endswith(f":oidc-provider/{GITHUB}']]}}")


def test_a_role_reaches_the_images_in_the_account_that_holds_them() -> None:
    """Across accounts both must agree, the role's policy and the repository's."""
    stack = AccessStack(cdk.App(), "Access", github="example/comments", registry_account="222222222222")
    statements = [
        statement
        for policy in every(Template.from_stack(stack), "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "ecr:PutImage" in statement["Action"]
    ]
    assert len(statements) == 3
    for statement in statements:
        assert ":222222222222:repository/comments" in str(statement["Resource"])


def test_cloudformation_may_make_roles_of_this_service_only() -> None:
    policy = the(templates("dev").access, "AWS::IAM::ManagedPolicy")
    assert policy["ManagedPolicyName"] == "comments-cdk-execution"
    for statement in policy["PolicyDocument"]["Statement"]:
        named = [action for action in _list(statement["Action"]) if action.startswith("iam:")]
        if named:
            assert "role/Comments*" in str(statement["Resource"]) or "role/aws-service-role/" in str(
                statement["Resource"]
            )
        assert "*" not in _list(statement["Action"])


def test_the_policy_fits_into_what_iam_stores() -> None:
    """AWS: 6,144 characters without white space."""
    where = Target(account="111122223333", region="ap-southeast-2")
    document = the(templates_of(STAGES["dev"], target=where).access, "AWS::IAM::ManagedPolicy")["PolicyDocument"]
    assert len(str(document).replace(" ", "")) < 6144


def test_the_access_stack_precedes_the_bootstrap() -> None:
    """Its template asks for no bootstrap version and has no asset, so that plain CloudFormation takes it."""
    template = templates("dev").access.to_json()
    assert "BootstrapVersion" not in template.get("Parameters", {})
    assert len(str(template)) < 51_200  # AWS: the most that a template may have inline


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """AWS's list of actions by service, and the kinds of resources that each can be held to; cfn-lint carries it."""
    files = list(PROJECT.glob(".venv-check/lib/python*/site-packages/cfnlint/data/AdditionalSpecs/Policies.json"))
    needs(files, "no .venv-check: run `make test`, which makes it")
    found: dict[str, Any] = json.loads(files[0].read_text())
    return found


@pytest.mark.parametrize("statement", sorted(STATEMENTS, key=str), ids=lambda statement: statement.sid)
def test_a_statement_names_actions_that_exist_and_holds_none_to_a_resource_that_it_does_not_know(
    known: dict[str, Any], statement: Statement
) -> None:
    """IAM takes both without a word, and then allows nothing."""
    for action in statement.actions:
        service, name = action.split(":")
        actions = known[service]["Actions"]
        meant = [actions[each] for each in actions if fnmatch(each, name.lower())]
        assert meant, f"AWS has no action {action}"
        held = statement.resources != ("*",)
        assert not held or any(each.get("Resources") for each in meant), f"{action} knows no resource"


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
