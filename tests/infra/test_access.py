import json
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra import execution_policy, stages
from infra.permissions import BOUNDARY, DEPLOY_STACKS, ISSUER, TRUSTS, Statement
from infra.stages import (
    ACCESS_STACK,
    PREVIEW,
    STAGES,
    Repository,
    Stage,
    StageError,
    TargetError,
    stage_named,
    stages_in_account_of,
    target_of,
)
from tests.infra.synthesis import (
    ANYWHERE,
    GITHUB,
    PROJECT,
    every,
    iam_actions,
    list_of,
    statements_of,
    synthesize,
    templates,
    templates_of,
    the,
    variant,
)

ALL_STATEMENTS = {statement for trust in TRUSTS for statement in trust.statements} | {
    *execution_policy.STATEMENTS,
    *DEPLOY_STACKS,
    *BOUNDARY,
}
RUNS = {
    "comments-deploy-dev": ["environment:dev"],
    "comments-deploy-prod": ["environment:prod"],
    "comments-preview": ["pull_request", "ref:refs/heads/main"],
    "comments-read": ["ref:refs/heads/main"],
}


def access(github: Repository | None = GITHUB) -> Template:
    return variant(github=github).access


def role_names(found: Template) -> set[str]:
    return {role["RoleName"] for role in every(found, "AWS::IAM::Role")}


def trust_of(name: str, github: Repository = GITHUB) -> dict[str, Any]:
    role = the(access(github), "AWS::IAM::Role", {"RoleName": name})
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    return dict(statement)


def statements(name: str) -> list[dict[str, Any]]:
    (logical,) = access().find_resources("AWS::IAM::Role", {"Properties": {"RoleName": name}})
    return statements_of(access(), logical)


def actions(name: str) -> set[str]:
    return {action for statement in statements(name) for action in list_of(statement["Action"])}


@pytest.mark.parametrize("name", RUNS)
def test_a_role_trusts_workflow_runs_of_one_repository_by_its_ids(name: str) -> None:
    statement = trust_of(name)
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"].keys() == {"StringEquals"}, "a wildcard lets other repositories in"
    trusted = statement["Condition"]["StringEquals"]
    assert trusted[f"{ISSUER}:aud"] == "sts.amazonaws.com"
    assert trusted[f"{ISSUER}:repository_id"] == "2002"
    assert list_of(trusted[f"{ISSUER}:sub"]) == [f"repo:example@1001/comments@2002:{run}" for run in RUNS[name]]


def test_the_name_alone_is_accepted_on_request_and_needs_the_id_too() -> None:
    trusted = trust_of("comments-deploy-dev", replace(GITHUB, accept_name_subject=True))["Condition"]["StringEquals"]
    assert trusted[f"{ISSUER}:sub"] == [
        "repo:example@1001/comments@2002:environment:dev",
        "repo:example/comments:environment:dev",
    ]
    assert trusted[f"{ISSUER}:repository_id"] == "2002"


@pytest.mark.parametrize("name", ["comments", "https://github.com/a/b", "a/*", "-a/b", "a/b/c"])
def test_a_repository_must_be_owner_and_name(name: str) -> None:
    with pytest.raises(StageError, match="owner/name"):
        Repository(name=name, owner_id=1, repository_id=2)


@pytest.mark.parametrize(
    ("name", "repository", "pushes"),
    [
        ("comments-deploy-dev", "comments", True),
        ("comments-deploy-prod", "comments", False),
        ("comments-preview", "comments-previews", True),
    ],
)
def test_a_role_reaches_the_images_of_its_stage_and_prod_cannot_push(name: str, repository: str, pushes: bool) -> None:
    (statement,) = [each for each in statements(name) if "ecr:PutImage" in each["Action"]]
    assert str(statement["Resource"]).endswith(f":repository/{repository}']]}}")
    assert ("ecr:UploadLayerPart" in actions(name)) == pushes


@pytest.mark.parametrize(
    ("stage", "repository"), [("pr-1", "comments-previews"), ("dev", "comments"), ("prod", "comments")]
)
def test_only_previews_run_images_of_previews(stage: str, repository: str) -> None:
    service = templates(stage).service
    assert f"/{repository}@" in str(the(service, "AWS::ECS::TaskDefinition")["ContainerDefinitions"])
    (pull,) = [
        str(statement["Resource"])
        for policy in every(service, "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "ecr:BatchGetImage" in statement["Action"]
    ]
    assert pull.endswith(f":repository/{repository}']]}}")


def test_the_reading_role_changes_nothing_and_reads_no_content() -> None:
    verbs = {action.split(":")[1] for action in actions("comments-read")}
    harmless = ("Describe", "Get", "List", "View", "Filter", "Start", "Detect")
    assert [verb for verb in verbs if not verb.startswith(harmless)] == []
    assert "sts:AssumeRole" not in actions("comments-read")
    content = {"dynamodb:GetItem", "s3:GetObject", "secretsmanager:GetSecretValue", "ecr:GetDownloadUrlForLayer"}
    assert not [action for action in content for allowed in actions("comments-read") if fnmatch(action, allowed)]


def test_without_a_repository_nothing_on_github_is_trusted() -> None:
    found = access(github=None)
    found.resource_count_is("AWS::IAM::OIDCProvider", 0)
    assert role_names(found) == {"comments-cdk-deploy"}


def test_an_identity_provider_of_the_account_is_trusted_and_not_created_again() -> None:
    existing = replace(GITHUB, create_provider=False)
    access(existing).resource_count_is("AWS::IAM::OIDCProvider", 0)
    trusted = trust_of("comments-preview", existing)["Principal"]["Federated"]
    assert str(trusted).endswith(f":oidc-provider/{ISSUER}']]}}")


class TestAccounts:
    """Each account has the roles of its own stages."""

    def test_stages_without_an_account_share_that_of_the_credentials(self) -> None:
        assert [stage.name for stage in stages_in_account_of(STAGES["dev"])] == ["dev", "prod", "pr-N"]
        assert role_names(access()) == {"comments-cdk-deploy", *RUNS}

    def test_an_account_has_only_the_roles_and_repositories_of_its_own_stages(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], account="222222222222"))
        monkeypatch.setattr(stages, "PREVIEW", replace(PREVIEW, account="333333333333"))
        found = {}
        for name in ("dev", "prod", "pr-7"):
            account = synthesize(replace(stage_named(name), github=GITHUB))
            repositories = {each["RepositoryName"] for each in every(account.registry, "AWS::ECR::Repository")}
            found[name] = role_names(account.access) - {"comments-cdk-deploy"}, repositories
        assert found == {
            "dev": ({"comments-deploy-dev", "comments-read"}, {"comments"}),
            "prod": ({"comments-deploy-prod", "comments-read"}, {"comments"}),
            "pr-7": ({"comments-preview"}, {"comments-previews"}),
        }

    @pytest.mark.parametrize(
        "prod",
        [
            replace(STAGES["prod"], account="222222222222"),
            replace(STAGES["prod"], account="111111111111", registry_account="222222222222"),
        ],
        ids=["account", "registry"],
    )
    def test_a_stage_without_an_account_is_rejected_in_the_account_of_another(
        self, monkeypatch: pytest.MonkeyPatch, prod: Stage
    ) -> None:
        """With prod's credentials, dev would put its roles next to prod, or take prod out of the lifecycle rules."""
        monkeypatch.setitem(STAGES, "prod", prod)
        credentials = {"CDK_DEFAULT_ACCOUNT": "222222222222", "AWS_REGION": "eu-west-1"}
        with pytest.raises(TargetError, match=r"222222222222 is the account of prod or of its images: set"):
            target_of(STAGES["dev"], credentials)
        named = replace(STAGES["dev"], account="222222222222")
        assert target_of(named, credentials).account == "222222222222"

    def test_images_in_another_account_are_those_of_that_account(self) -> None:
        """Both the role's policy and the repository's must allow it."""
        elsewhere = variant("playground", registry_account="222222222222")
        assert ":222222222222:repository/comments" in str(every(elsewhere.service, "AWS::IAM::Policy"))


class TestBootstrap:
    """Names and roles of the bootstrap."""

    def test_every_stack_uses_the_own_bootstrap_and_the_own_deploy_role(self) -> None:
        for stack in templates("prod").assembly.stacks:
            if stack.stack_name == ACCESS_STACK:
                continue
            assert str(stack.assume_role_arn).endswith(":role/comments-cdk-deploy")
            assert ":role/cdk-comments-cfn-exec-role-" in str(stack.cloud_formation_execution_role_arn)
            assert "/cdk-bootstrap/comments/version" in str(stack.template["Parameters"])

    def test_the_access_stack_is_deployed_with_the_callers_credentials(self) -> None:
        """It precedes the bootstrap, and its resources are what CloudFormation's role must not change."""
        stack = templates("dev").assembly.get_stack_by_name(ACCESS_STACK)
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
        stacks = templates(name)
        roles = every(stacks.service, "AWS::IAM::Role")
        assert len(roles) == (2 if name == "pr-1" else 3)
        for each in roles:
            assert str(each["PermissionsBoundary"]).endswith(":policy/comments-boundary']]}")
            assert "ManagedPolicyArns" not in each
            assert "RoleName" not in each, "the policy of CloudFormation allows CommentsService-*"
        assert not every(stacks.data, "AWS::IAM::Role") + every(stacks.registry, "AWS::IAM::Role")

    @pytest.mark.parametrize("name", ["prod", "playground", "pr-1"])
    def test_it_allows_what_the_roles_need(self, name: str) -> None:
        stacks = templates_of(replace(stage_named(name), account=None), target=ANYWHERE)
        boundary = the(stacks.access, "AWS::IAM::ManagedPolicy", {"ManagedPolicyName": "comments-boundary"})
        allowed = grants(boundary["PolicyDocument"])
        for policy in every(stacks.service, "AWS::IAM::Policy"):
            for action, resource in grants(policy["PolicyDocument"]):
                # CDK lets the role of flow logs pass itself, which nothing needs.
                assert action == "iam:PassRole" or any(
                    action == name_ and fnmatch(resource, pattern) for name_, pattern in allowed
                ), (action, resource)

    def test_it_excludes_everything_that_could_change_permissions(self) -> None:
        services = {action.split(":")[0] for statement in BOUNDARY for action in statement.actions}
        assert services == {"dynamodb", "ecr", "logs", "secretsmanager"}


def grants(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the actions of a policy, each with its resource."""
    return [
        (action, plain(resource))
        for statement in document["Statement"]
        for action in list_of(statement["Action"])
        for resource in list_of(statement["Resource"])
    ]


def plain(value: Any) -> str:
    """Return an ARN with AWS's partition in place of the function."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        return "".join(plain(part) for part in value["Fn::Join"][1])
    return "aws" if value == {"Ref": "AWS::Partition"} else "*"


def test_the_policies_fit_into_what_iam_stores() -> None:
    """AWS: 6,144 characters without white space."""
    policies = every(templates_of(STAGES["dev"], target=ANYWHERE).access, "AWS::IAM::ManagedPolicy")
    assert {policy["ManagedPolicyName"] for policy in policies} == {"comments-cdk-execution", "comments-boundary"}
    for policy in policies:
        assert len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) < 6144


@pytest.mark.parametrize("statement", sorted(ALL_STATEMENTS, key=str), ids=lambda statement: statement.sid)
def test_a_statement_has_actions_that_exist_and_support_its_resources(statement: Statement) -> None:
    """IAM accepts both mistakes silently, and then allows nothing."""
    for action in statement.actions:
        meant = iam_actions(action).values()
        assert meant, f"AWS has no action {action}"
        limited = statement.resources != ("*",)
        assert not limited or any(each.get("Resources") for each in meant), f"{action} supports no resource"
