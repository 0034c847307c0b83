"""No path leads from a role of a workflow to an administrator of the account.

The test models an account: the roles of the templates and of CDK's bootstrap, and roles and stacks of other CDK apps,
which are administrators. It follows every statement from role to role.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest

from infra import execution_policy
from infra.permissions import BOUNDARY_NAME, TRUSTS, Trust
from infra.stages import BOOTSTRAP_QUALIFIER, STAGES
from tests.infra.synthesis import ANYWHERE, PROJECT, every, iam_actions, list_of, statements_of, templates_of
from tests.machine import needs

ACCOUNT, REGION = ANYWHERE.account, ANYWHERE.region
KNOWN = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
CDK = f"cdk-{BOOTSTRAP_QUALIFIER}"
EXECUTION = f"{CDK}-cfn-exec-role-{ACCOUNT}-{REGION}"
ADMINISTRATOR = "administrator"
WORKLOAD = "CommentsService-prod-ApiTaskRole"
OTHERS = ("Admin", "CommentsAdmin", f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}")
"""Roles of others in the account, all administrators; the last one is that of CDK apps with the stock bootstrap."""
STACKS = {
    "CommentsService-prod": EXECUTION,
    "CommentsRegistry": EXECUTION,
    "CommentsAccess": ADMINISTRATOR,
    "CommentsToolkit": ADMINISTRATOR,
    "Shop": ADMINISTRATOR,
}
"""Stacks, each with the role that CloudFormation uses for it even if a caller names none."""
POLICIES = (BOUNDARY_NAME, execution_policy.NAME)
BOUNDED = {"iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"}
"""AWS: actions with the condition key iam:PermissionsBoundary that can't take a boundary away."""
HARMLESS = {
    "iam:CreateServiceLinkedRole": "AWS defines the permissions, and only its services can assume the role",
    "iam:DeleteRole": "a deleted role grants nothing, and creating it again takes the boundary",
    "iam:TagRole": "no policy here depends on tags",
    "iam:UntagRole": "no policy here depends on tags",
    "iam:UpdateRole": "changes the description and the duration of sessions",
    "iam:UpdateRoleDescription": "changes the description",
}
RUNS_CODE = (
    *("lambda:*", "ssm:SendCommand", "ssm:StartSession", "ssm:StartAutomationExecution", "ec2:RunInstances"),
    *("ec2:*IamInstanceProfile*", "ec2:ModifyInstanceAttribute", "glue:*", "codebuild:*", "sagemaker:*", "states:*"),
    *("datapipeline:*", "cloudformation:*StackSet*", "cloudformation:*Type*", "cloudformation:*StackRefactor"),
    *("organizations:*", "account:*", "sso:*", "identitystore:*", "rolesanywhere:*", "sts:AssumeRoot"),
)
"""Actions that run code under a role that exists, or make one outside of IAM."""
USES_STACK = tuple(
    f"cloudformation:{action}"
    for action in ("UpdateStack", "CreateChangeSet", "ExecuteChangeSet", "DeleteStack", "ContinueUpdateRollback")
)


@dataclass(frozen=True)
class Allow:
    """One allowed action on one resource pattern."""

    action: str
    resource: str
    condition: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def names(self, kind: str, name: str) -> bool:
        """Return whether the resource includes the IAM entity with this name."""
        return fnmatchcase(f"arn:aws:iam::{ACCOUNT}:{kind}/{name}", self.resource)

    def requires(self, key: str) -> tuple[str, ...]:
        return dict(self.condition).get(key, ())


Account = dict[str, frozenset[Allow]]
"""What each role may do."""


SPELLING = {
    action.lower(): action for action in {*BOUNDED, *HARMLESS, *USES_STACK, "sts:AssumeRole", "iam:PassRole",
                                          "iam:UpdateAssumeRolePolicy"}
}  # fmt: skip


def allows(statements: list[dict[str, Any]]) -> Iterator[Allow]:
    """Yield each action of the statements, wildcards expanded."""
    for statement in statements:
        assert statement["Effect"] == "Allow"
        conditions = statement.get("Condition", {})
        equals = tuple((key, tuple(list_of(text(value)))) for key, value in conditions.get("StringEquals", {}).items())
        for pattern in list_of(statement["Action"]):
            for action in iam_actions(pattern):
                for resource in list_of(statement["Resource"]):
                    yield Allow(SPELLING.get(action, action), text(resource), equals)


def text(value: Any) -> Any:
    """Resolve the functions of a template."""
    match value:
        case str():
            return value
        case list():
            return [text(each) for each in value]
        case {"Ref": name}:
            return KNOWN[name]
        case {"Fn::Join": [separator, parts]}:
            return separator.join(text(part) for part in parts)
        case {"Fn::Sub": pattern}:
            for name, found in {
                **KNOWN,
                "Qualifier": BOOTSTRAP_QUALIFIER,
                "StagingBucket.Arn": f"arn:aws:s3:::{CDK}-assets-{ACCOUNT}-{REGION}",
                "CloudFormationExecutionRole.Arn": f"arn:aws:iam::{ACCOUNT}:role/{EXECUTION}",
                "CdkBootstrapVersion": f"/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version",
            }.items():
                pattern = pattern.replace(f"${{{name}}}", found)
            return pattern
    raise AssertionError(f"no text: {value}")


@cache
def account() -> Account:
    access = templates_of(STAGES["playground"], target=ANYWHERE).access  # it holds the roles of every stage
    roles = {
        role["Properties"]["RoleName"]: frozenset(allows(statements_of(access, logical)))
        for logical, role in access.find_resources("AWS::IAM::Role").items()
    }
    managed = {
        policy["ManagedPolicyName"]: policy["PolicyDocument"]["Statement"]
        for policy in every(access, "AWS::IAM::ManagedPolicy")
    }
    return roles | {
        EXECUTION: frozenset(allows(managed[execution_policy.NAME])),
        WORKLOAD: frozenset(allows(managed[BOUNDARY_NAME])),
        **bootstrap_roles(),
        **dict.fromkeys(OTHERS, frozenset()),
    }


def bootstrap_roles() -> Account:
    """Return the other roles of CDK's bootstrap, from the CLI's own template."""
    cli = PROJECT / "node_modules/.bin/cdk"
    needs(cli.exists(), "no node_modules: run `make setup`")
    command = [str(cli), "bootstrap", "--show-template", "--json", "--no-notices"]
    shown = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    resources = json.loads(shown.stdout)["Resources"]
    roles: Account = {}
    for logical in ("FilePublishingRole", "ImagePublishingRole", "DeploymentActionRole"):
        name = text(resources[logical]["Properties"]["RoleName"])
        policies = resources[logical]["Properties"].get("Policies", []) + [
            resource["Properties"]
            for resource in resources.values()
            if resource["Type"] == "AWS::IAM::Policy" and {"Ref": logical} in resource["Properties"]["Roles"]
        ]
        # AWS evaluates Fn::If; the statements without it are those that matter here.
        statements = [
            statement
            for policy in policies
            for statement in policy["PolicyDocument"]["Statement"]
            if not statement.keys() & {"Fn::If"} and "kms:" not in str(statement["Action"])
        ]
        roles[name] = frozenset(allows([{**statement, "Effect": "Allow"} for statement in statements]))
    return roles


def leads_to(allow: Allow, roles: Account) -> Iterator[str]:
    """Yield the roles whose permissions an allowed action gives to its caller; ADMINISTRATOR for anything."""
    if allow.action in {"sts:AssumeRole", "iam:UpdateAssumeRolePolicy"}:
        yield from (role for role in roles if allow.names("role", role))
    elif allow.action == "iam:PassRole":
        assert allow.requires("iam:PassedToService"), allow
        yield from (role for role in roles if allow.names("role", role))
    elif allow.action in USES_STACK:
        for stack, role in STACKS.items():
            if fnmatchcase(f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/id", allow.resource):
                yield role
    elif allow.action in BOUNDED:
        bounded = allow.requires("iam:PermissionsBoundary") == (f"arn:aws:iam::{ACCOUNT}:policy/{BOUNDARY_NAME}",)
        yield WORKLOAD if bounded else ADMINISTRATOR
    elif allow.action not in HARMLESS and not reads(allow.action):
        dangerous = ("iam:*", "sts:*", *RUNS_CODE)
        if any(fnmatchcase(allow.action.lower(), pattern.lower()) for pattern in dangerous):
            yield ADMINISTRATOR


def reads(action: str) -> bool:
    return action.lower().split(":")[1].startswith(("get", "list", "describe", "simulate", "validate"))


def reachable(start: str, roles: Account) -> set[str]:
    """Return every role whose permissions `start` can use."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting += [each for allow in roles.get(role, ()) for each in leads_to(allow, roles)]
    return found


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_workflow_reaches_the_roles_of_its_deployment_and_no_others(trust: Trust) -> None:
    deploys = {"comments-cdk-deploy", f"{CDK}-file-publishing-role-{ACCOUNT}-{REGION}", EXECUTION, WORKLOAD}
    expected = {trust.role} if trust.role == "comments-read" else {trust.role, *deploys}
    assert reachable(trust.role, account()) == expected


def test_the_policies_of_roles_that_are_in_use_cannot_be_changed() -> None:
    """A boundary is only as good as the permission to edit it."""
    for role in reachable("comments-preview", account()):
        for allow in account()[role]:
            if allow.action.startswith("iam:") and not reads(allow.action):
                assert not any(allow.names("policy", name) for name in POLICIES), (role, allow)
                assert not any(allow.names("role", name) for name in OTHERS), (role, allow)
                assert not any(allow.names("role", name) for name in account() if name != WORKLOAD) or (
                    allow.action == "iam:PassRole" and allow.names("role", EXECUTION)
                ), (role, allow)


def test_the_execution_role_changes_iam_in_these_ways_only() -> None:
    changes = [allow for allow in account()[EXECUTION] if allow.action.startswith("iam:") and not reads(allow.action)]
    expected = {*BOUNDED, *HARMLESS, "iam:PassRole", "iam:UpdateAssumeRolePolicy"}
    assert {allow.action for allow in changes} == expected
    services = {allow.requires("iam:PassedToService") for allow in changes if allow.action == "iam:PassRole"}
    assert services == {("ecs-tasks.amazonaws.com", "vpc-flow-logs.amazonaws.com")}


def test_a_condition_is_only_on_actions_that_have_its_key() -> None:
    """IAM denies an action whose request lacks the key, so a deployment would fail."""
    for allows_ in account().values():
        for allow in allows_:
            assert not allow.requires("iam:PermissionsBoundary") or allow.action in BOUNDED, allow
            assert not allow.requires("iam:PassedToService") or allow.action == "iam:PassRole", allow


def any_role(name: str = "*") -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


BOUNDARY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/{BOUNDARY_NAME}"
PASSED = (("iam:PassedToService", ("ecs-tasks.amazonaws.com",)),)


@pytest.mark.parametrize(
    "mistake",
    [
        Allow("iam:attachrolepolicy", any_role("CommentsService-*")),
        Allow("iam:CreateRole", any_role("CommentsService-*")),
        Allow("iam:PutRolePolicy", any_role("CommentsService-*")),
        Allow("iam:CreateRole", any_role(), (("iam:PermissionsBoundary", ("arn:aws:iam::aws:policy/Other",)),)),
        Allow("iam:deleterolepermissionsboundary", any_role("CommentsService-*")),
        Allow("iam:createpolicyversion", BOUNDARY_ARN),
        Allow("iam:deletepolicy", BOUNDARY_ARN),
        Allow("iam:UpdateAssumeRolePolicy", any_role("Comments*")),
        Allow("iam:PassRole", any_role("Comments*"), PASSED),
        Allow("iam:createuser", "*"),
        Allow("iam:createaccesskey", "*"),
        Allow("lambda:updatefunctioncode", "*"),
        Allow("cloudformation:UpdateStack", "*"),
        Allow("cloudformation:ExecuteChangeSet", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Comments*/*"),
    ],
    ids=lambda mistake: f"{mistake.action} {mistake.resource.rpartition(':')[2]}",
)
def test_the_walk_finds_a_path_that_one_more_permission_opens(mistake: Allow) -> None:
    wrong = {**account(), EXECUTION: account()[EXECUTION] | {mistake}}
    reached = reachable("comments-preview", wrong)
    assert reached & {ADMINISTRATOR, *OTHERS}


def test_the_deploy_role_of_the_stock_bootstrap_would_be_a_path() -> None:
    """It may update every stack of the account, also those that another app deployed as an administrator."""
    stock = f"{CDK}-deploy-role-{ACCOUNT}-{REGION}"
    assert ADMINISTRATOR in reachable(stock, passing(account()))


def passing(roles: Account) -> Account:
    """The bootstrap's deploy role passes only one role, to CloudFormation alone, but its policy has no condition."""
    service = (("iam:PassedToService", ("cloudformation.amazonaws.com",)),)
    return {
        name: frozenset(
            replace(allow, condition=service) if allow.action == "iam:PassRole" else allow for allow in allowed
        )
        for name, allowed in roles.items()
    }
