import json
import os
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

os.environ["CDK_VALIDATION"] = "false"

import aws_cdk as cdk
import cfnlint
import pytest
from aws_cdk.assertions import Template

from infra import execution_policy, stages
from infra.app import add_stacks
from infra.permissions import BOUNDARY, DEPLOY_STACKS, ISSUER, TRUSTS, Statement
from infra.stages import (
    ACCESS_STACK,
    PREVIEW,
    REGISTRY_STACK,
    STAGES,
    Repository,
    Stage,
    StageError,
    Target,
    TargetError,
    stage_named,
    stages_in_account_of,
    target_of,
)

PROJECT = Path(__file__).resolve().parents[2]
ANYWHERE = Target(None, None)
GITHUB = Repository(name="example/comments", owner_id=1001, repository_id=2002)
ALL_STATEMENTS = {statement for trust in TRUSTS for statement in trust.statements} | {
    *execution_policy.STATEMENTS,
    *DEPLOY_STACKS,
    *BOUNDARY,
}
ROLES_OF_DEV = {"comments-cdk-deploy", "comments-deploy-dev", "comments-read"}


@cache
def synthesized(stage: Stage, target: Target = ANYWHERE) -> cdk.cx_api.CloudAssembly:
    app = cdk.App(context=json.loads((PROJECT / "cdk.json").read_text())["context"])
    add_stacks(app, stage, target)
    return app.synth()


def template(stage: Stage, stack: str, target: Target = ANYWHERE) -> Template:
    return Template.from_json(synthesized(stage, target).get_stack_by_name(stack).template)


def access(github: Repository | None = GITHUB, stage: str = "dev") -> Template:
    return template(replace(stage_named(stage), github=github), ACCESS_STACK)


def every(found: Template, resource_type: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in found.find_resources(resource_type).items()}


def role_names(found: Template) -> set[str]:
    return {role["RoleName"] for role in every(found, "AWS::IAM::Role").values()}


def role(name: str, github: Repository = GITHUB) -> dict[str, Any]:
    (found,) = [each for each in every(access(github), "AWS::IAM::Role").values() if each["RoleName"] == name]
    return found


def statements(name: str) -> list[dict[str, Any]]:
    (logical,) = [key for key, each in every(access(), "AWS::IAM::Role").items() if each["RoleName"] == name]
    return [
        statement
        for policy in every(access(), "AWS::IAM::Policy").values()
        if {"Ref": logical} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def actions(name: str) -> set[str]:
    return {action for statement in statements(name) for action in listed(statement["Action"])}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


RUNS = {
    "comments-deploy-dev": ["environment:dev"],
    "comments-deploy-prod": ["environment:prod"],
    "comments-preview": ["pull_request", "ref:refs/heads/main"],
    "comments-read": ["ref:refs/heads/main"],
}


@pytest.mark.parametrize("name", RUNS)
def test_a_role_trusts_workflow_runs_of_one_repository_by_its_ids(name: str) -> None:
    (statement,) = role(name)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"].keys() == {"StringEquals"}, "a wildcard lets other repositories in"
    trusted = statement["Condition"]["StringEquals"]
    assert trusted[f"{ISSUER}:aud"] == "sts.amazonaws.com"
    assert trusted[f"{ISSUER}:repository_id"] == "2002"
    assert listed(trusted[f"{ISSUER}:sub"]) == [f"repo:example@1001/comments@2002:{run}" for run in RUNS[name]]


def test_the_name_alone_is_accepted_on_request_and_needs_the_id_too() -> None:
    (statement,) = role("comments-deploy-dev", replace(GITHUB, accept_name_subject=True))["AssumeRolePolicyDocument"][
        "Statement"
    ]
    trusted = statement["Condition"]["StringEquals"]
    assert trusted[f"{ISSUER}:sub"] == [
        "repo:example@1001/comments@2002:environment:dev",
        "repo:example/comments:environment:dev",
    ]
    assert trusted[f"{ISSUER}:repository_id"] == "2002"


def test_a_repository_must_be_owner_and_name() -> None:
    with pytest.raises(StageError, match="owner/name"):
        Repository(name="comments", owner_id=1, repository_id=2)


def test_prod_can_tag_an_image_but_not_push_one() -> None:
    assert "ecr:PutImage" in actions("comments-deploy-prod")
    assert "ecr:UploadLayerPart" not in actions("comments-deploy-prod")
    for role_that_builds in ("comments-deploy-dev", "comments-preview"):
        assert {"ecr:PutImage", "ecr:UploadLayerPart"} <= actions(role_that_builds)


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("comments-deploy-dev", "comments"),
        ("comments-deploy-prod", "comments"),
        ("comments-preview", "comments-previews"),
    ],
)
def test_a_role_reaches_the_images_of_its_stages_only(name: str, repository: str) -> None:
    (statement,) = [each for each in statements(name) if "ecr:PutImage" in each["Action"]]
    assert str(statement["Resource"]).endswith(f":repository/{repository}']]}}")


def test_only_previews_run_images_of_previews() -> None:
    for name, repository in (("pr-1", "comments-previews"), ("dev", "comments"), ("prod", "comments")):
        stage = stage_named(name)
        service = template(stage, stage.service_stack)
        (task,) = every(service, "AWS::ECS::TaskDefinition").values()
        assert f"/{repository}@" in str(task["ContainerDefinitions"][0]["Image"])
        pulls = [
            str(statement["Resource"])
            for policy in every(service, "AWS::IAM::Policy").values()
            for statement in policy["PolicyDocument"]["Statement"]
            if "ecr:BatchGetImage" in statement["Action"]
        ]
        assert len(pulls) == 1
        assert pulls[0].endswith(f":repository/{repository}']]}}")
    repositories = every(template(STAGES["dev"], REGISTRY_STACK), "AWS::ECR::Repository").values()
    assert {each["RepositoryName"] for each in repositories} == {"comments", "comments-previews"}


def test_the_reading_role_changes_nothing() -> None:
    verbs = {action.split(":")[1] for action in actions("comments-read")}
    harmless = ("Describe", "Get", "List", "View", "Filter", "Start", "Detect", "View")
    assert [verb for verb in verbs if not verb.startswith(harmless)] == []
    assert "sts:AssumeRole" not in actions("comments-read")
    content = {"dynamodb:GetItem", "s3:GetObject", "secretsmanager:GetSecretValue", "ecr:GetDownloadUrlForLayer"}
    assert not [action for action in content for allowed in actions("comments-read") if fnmatch(action, allowed)]


def test_without_a_repository_nothing_on_github_is_trusted() -> None:
    found = access(github=None)
    found.resource_count_is("AWS::IAM::OIDCProvider", 0)
    assert role_names(found) == {"comments-cdk-deploy"}


def test_a_provider_that_the_account_already_has_is_trusted_and_not_created_again() -> None:
    existing = replace(GITHUB, create_provider=False)
    access(existing).resource_count_is("AWS::IAM::OIDCProvider", 0)
    trusted = role("comments-preview", existing)["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Federated"]
    assert str(trusted).endswith(f":oidc-provider/{ISSUER}']]}}")


class TestAccounts:
    """Each account has the roles of its own stages."""

    def test_stages_without_an_account_share_that_of_the_credentials(self) -> None:
        assert [stage.name for stage in stages_in_account_of(STAGES["dev"])] == ["dev", "prod", "pr-N"]
        assert role_names(access()) == {"comments-cdk-deploy", *RUNS}

    def test_an_account_has_no_role_of_a_stage_that_lives_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], account="222222222222"))
        monkeypatch.setattr(stages, "PREVIEW", replace(PREVIEW, account="333333333333"))
        found = {}
        for name in ("dev", "prod", "pr-7"):
            app = cdk.App()
            add_stacks(app, replace(stage_named(name), github=GITHUB), Target(None, None))
            found[name] = role_names(Template.from_json(app.synth().get_stack_by_name(ACCESS_STACK).template))
        assert found == {
            "dev": ROLES_OF_DEV,
            "prod": {"comments-cdk-deploy", "comments-deploy-prod", "comments-read"},
            "pr-7": {"comments-cdk-deploy", "comments-preview"},
        }

    def test_a_stage_without_an_account_is_refused_in_the_account_of_another(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With prod's credentials, dev and its roles would move in next to prod."""
        monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], account="222222222222"))
        credentials = {"CDK_DEFAULT_ACCOUNT": "222222222222", "AWS_REGION": "eu-west-1"}
        with pytest.raises(TargetError, match="222222222222 is that of prod: set the account of dev"):
            target_of(STAGES["dev"], credentials)
        assert target_of(STAGES["prod"], credentials).account == "222222222222"

    def test_images_in_another_account_are_those_of_that_account(self) -> None:
        """Both the role's policy and the repository's must allow it."""
        elsewhere = replace(STAGES["playground"], registry_account="222222222222")
        service = template(elsewhere, elsewhere.service_stack)
        assert ":222222222222:repository/comments" in str(every(service, "AWS::IAM::Policy"))


class TestBootstrap:
    """Names and roles of the bootstrap."""

    def test_every_stack_uses_the_own_bootstrap_and_the_own_deploy_role(self) -> None:
        for stack in synthesized(STAGES["prod"]).stacks:
            if stack.stack_name == ACCESS_STACK:
                continue
            assert str(stack.assume_role_arn).endswith(":role/comments-cdk-deploy")
            assert ":role/cdk-comments-cfn-exec-role-" in str(stack.cloud_formation_execution_role_arn)
            assert stack.requires_bootstrap_stack_version
            assert "/cdk-bootstrap/comments/version" in str(stack.template["Parameters"])

    def test_the_access_stack_is_deployed_with_the_callers_credentials(self) -> None:
        """It precedes the bootstrap, and its resources are what CloudFormation's role must not change."""
        stack = synthesized(replace(STAGES["dev"], github=GITHUB)).get_stack_by_name(ACCESS_STACK)
        assert stack.assume_role_arn is None
        assert stack.cloud_formation_execution_role_arn is None
        assert "BootstrapVersion" not in stack.template.get("Parameters", {})
        assert len(json.dumps(stack.template, indent=1)) < 51_200  # AWS: limit of a template without a bucket

    def test_cdk_json_names_the_same_bootstrap(self) -> None:
        configuration = json.loads((PROJECT / "cdk.json").read_text())
        assert configuration["toolkitStackName"] == stages.TOOLKIT_STACK
        assert configuration["context"]["@aws-cdk/core:bootstrapQualifier"] == stages.BOOTSTRAP_QUALIFIER


class TestBoundary:
    """The permissions boundary of the roles of service stacks."""

    @pytest.mark.parametrize("name", ["dev", "prod", "playground", "pr-1"])
    def test_every_role_of_a_service_stack_has_it_and_no_other_stack_has_roles(self, name: str) -> None:
        stage = stage_named(name)
        for stack in synthesized(stage).stacks:
            found = every(Template.from_json(stack.template), "AWS::IAM::Role").values() if stack.template else []
            if stack.stack_name == stage.service_stack:
                assert len(found) == (2 if name == "pr-1" else 3)
                for each in found:
                    assert str(each["PermissionsBoundary"]).endswith(":policy/comments-boundary']]}")
                    assert "ManagedPolicyArns" not in each
                    assert "RoleName" not in each, "the policy of CloudFormation allows CommentsService-*"
            elif stack.stack_name != ACCESS_STACK:
                assert not found

    @pytest.mark.parametrize("name", ["prod", "playground", "pr-1"])
    def test_it_allows_what_the_roles_need(self, name: str) -> None:
        where = Target("111122223333", "eu-west-1")
        stage = replace(stage_named(name), account=None)
        (boundary,) = [
            policy["PolicyDocument"]["Statement"]
            for policy in every(template(stage, ACCESS_STACK, where), "AWS::IAM::ManagedPolicy").values()
            if policy["ManagedPolicyName"] == "comments-boundary"
        ]
        allowed = [
            (action, plain(resource))
            for statement in boundary
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        ]
        for policy in every(template(stage, stage.service_stack, where), "AWS::IAM::Policy").values():
            for statement in policy["PolicyDocument"]["Statement"]:
                for action in listed(statement["Action"]):
                    if action == "iam:PassRole":
                        continue  # CDK lets the role of flow logs pass itself, which nothing needs
                    for resource in listed(statement["Resource"]):
                        assert any(
                            action == name_ and fnmatch(plain(resource), pattern) for name_, pattern in allowed
                        ), (action, plain(resource))

    def test_it_excludes_everything_that_could_change_permissions(self) -> None:
        services = {action.split(":")[0] for statement in BOUNDARY for action in statement.actions}
        assert services == {"dynamodb", "ecr", "logs", "secretsmanager"}


def plain(value: Any) -> str:
    """Return an ARN with AWS's partition in place of the function."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        return "".join(plain(part) for part in value["Fn::Join"][1])
    return "aws" if value == {"Ref": "AWS::Partition"} else "*"


def test_the_policies_fit_into_what_iam_stores() -> None:
    """AWS: 6,144 characters without white space."""
    found = template(STAGES["dev"], ACCESS_STACK, Target("111122223333", "ap-southeast-2"))
    policies = every(found, "AWS::IAM::ManagedPolicy").values()
    assert {policy["ManagedPolicyName"] for policy in policies} == {"comments-cdk-execution", "comments-boundary"}
    for policy in policies:
        assert len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) < 6144


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """AWS's list of actions by service, and the resource types that each supports; cfn-lint carries it."""
    file = Path(cfnlint.__file__).parent / "data/AdditionalSpecs/Policies.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize("statement", sorted(ALL_STATEMENTS, key=str), ids=lambda statement: statement.sid)
def test_a_statement_has_actions_that_exist_and_support_its_resources(
    known: dict[str, Any], statement: Statement
) -> None:
    """IAM accepts both mistakes silently, and then allows nothing."""
    for action in statement.actions:
        service, name = action.split(":")
        meant = [known[service]["Actions"][each] for each in known[service]["Actions"] if fnmatch(each, name.lower())]
        assert meant, f"AWS has no action {action}"
        limited = statement.resources != ("*",)
        assert not limited or any(each.get("Resources") for each in meant), f"{action} supports no resource"
