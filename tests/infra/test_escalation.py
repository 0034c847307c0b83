"""No path leads from a role of a workflow to an administrator of the account.

The test models an account: the roles of the templates, and roles and stacks of other CDK apps, which are
administrators. It follows every statement from role to role.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest

from infra import execution_policy
from infra.boundary import BOUNDARY_NAME
from infra.config import BOOTSTRAP_QUALIFIER
from infra.permissions import WORKFLOW_ROLES, WorkflowRole
from tests.infra.synthesis import ACCOUNT, REGION, every, grants, iam_actions, list_of, statements_of, templates, text

EXECUTION, PUBLISHING, *UNUSED = (
    f"cdk-{BOOTSTRAP_QUALIFIER}-{kind}-role-{ACCOUNT}-{REGION}"
    for kind in ("cfn-exec", "file-publishing", "deploy", "image-publishing", "lookup")
)
"""Roles of CDK's bootstrap. The second writes to its bucket. With the third, a workflow could update every stack."""
ADMINISTRATOR = "administrator"
WORKLOAD = "NotesService-prod-WebTaskRole"
OTHERS = ("Admin", "NotesAdmin", f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}")
"""Roles of others in the account, all administrators; the last one is that of CDK apps with the stock bootstrap."""
STACKS = {
    "NotesService-prod": EXECUTION,
    "NotesRegistry": EXECUTION,
    "NotesAccess": ADMINISTRATOR,
    "NotesToolkit": ADMINISTRATOR,
    "Shop": ADMINISTRATOR,
}
"""Stacks, each with the role that CloudFormation uses for it even if a caller names none."""
BOUNDED = {"iam:createrole", "iam:putrolepolicy", "iam:deleterolepolicy", "iam:putrolepermissionsboundary"}
"""AWS: actions with the condition key iam:PermissionsBoundary that can't take a boundary away."""
HARMLESS = {
    "iam:createservicelinkedrole": "AWS defines the permissions, and only its services can assume the role",
    "iam:deleterole": "a deleted role grants nothing, and creating it again takes the boundary",
    "iam:tagrole": "no policy here depends on tags",
    "iam:untagrole": "no policy here depends on tags",
    "iam:updaterole": "changes the description and the duration of sessions",
    "iam:updateroledescription": "changes the description",
}
READING = ("get", "list", "describe", "batchdescribe", "simulate", "validate")
DANGEROUS = (
    *("iam:*", "sts:*", "lambda:*", "ssm:sendcommand", "ssm:startsession", "ssm:startautomationexecution"),
    *("ec2:runinstances", "ec2:*iaminstanceprofile*", "ec2:modifyinstanceattribute", "glue:*", "codebuild:*"),
    *("sagemaker:*", "states:*", "datapipeline:*", "cloudformation:*stackset*", "cloudformation:*type*"),
    *("cloudformation:*stackrefactor", "organizations:*", "account:*", "sso:*", "identitystore:*", "rolesanywhere:*"),
)
"""Actions that change permissions, run code under a role that exists, or make one outside of IAM."""
USES_STACK = {
    f"cloudformation:{action}"
    for action in ("updatestack", "createchangeset", "executechangeset", "deletestack", "continueupdaterollback")
}


@dataclass(frozen=True)
class Allow:
    """One allowed action, in lower case, on one resource pattern."""

    action: str
    resource: str
    required: dict[str, list[str]] = field(compare=False)
    """The values that each condition key must have."""

    def names_role(self, role: str) -> bool:
        return fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{role}", self.resource)


def allows(statements: list[dict[str, Any]]) -> Iterator[Allow]:
    """Yield each action of the statements, wildcards expanded."""
    for statement in statements:
        assert statement["Effect"] == "Allow"
        equals = statement.get("Condition", {}).get("StringEquals", {})
        required = {key: [text(value) for value in list_of(values)] for key, values in equals.items()}
        for pattern, resource in grants([statement]):
            for action in iam_actions(pattern):
                yield Allow(action, resource, required)


@cache
def account() -> dict[str, list[Allow]]:
    """Return what each role may do."""
    access = templates("playground", account=ACCOUNT, region=REGION).access  # it holds the roles of every stage
    managed = {
        policy["ManagedPolicyName"]: list(allows(policy["PolicyDocument"]["Statement"]))
        for policy in every(access, "AWS::IAM::ManagedPolicy")
    }
    return {
        **{
            role["Properties"]["RoleName"]: list(allows(statements_of(access, logical)))
            for logical, role in access.find_resources("AWS::IAM::Role").items()
        },
        **{role: [] for role in (PUBLISHING, *UNUSED, *OTHERS)},
        EXECUTION: managed[execution_policy.NAME],
        WORKLOAD: managed[BOUNDARY_NAME],
    }


def leads_to(allow: Allow) -> Iterator[str]:
    """Yield the roles whose permissions an allowed action gives to its caller; ADMINISTRATOR for anything."""
    if allow.action in {"sts:assumerole", "iam:updateassumerolepolicy", "iam:passrole"}:
        assert allow.action != "iam:passrole" or allow.required["iam:PassedToService"]
        yield from filter(allow.names_role, account())
    elif allow.action in USES_STACK:
        for stack, role in STACKS.items():
            if fnmatchcase(f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/id", allow.resource):
                yield role
    elif allow.action in BOUNDED:
        boundary = [f"arn:aws:iam::{ACCOUNT}:policy/{BOUNDARY_NAME}"]
        yield WORKLOAD if allow.required.get("iam:PermissionsBoundary") == boundary else ADMINISTRATOR
    elif (
        allow.action not in HARMLESS
        and not allow.action.partition(":")[2].startswith(READING)
        and any(fnmatchcase(allow.action, pattern) for pattern in DANGEROUS)
    ):
        yield ADMINISTRATOR


def reachable(start: str) -> set[str]:
    """Return every role whose permissions `start` can use."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting += [each for allow in account().get(role, ()) for each in leads_to(allow)]
    return found


@pytest.mark.parametrize("role", WORKFLOW_ROLES, ids=lambda role: role.name)
def test_a_workflow_reaches_the_roles_of_its_deployment_and_no_others(role: WorkflowRole) -> None:
    deploys = {"notes-cdk-deploy", PUBLISHING, EXECUTION, WORKLOAD}
    assert reachable(role.name) == {role.name} | (set() if role.name == "notes-read" else deploys)


def test_the_roles_and_policies_that_are_in_use_cannot_be_changed() -> None:
    """A boundary is only as good as the permission to edit it."""
    for role in reachable("notes-deploy-dev"):
        for allow in account()[role]:
            service, _, name = allow.action.partition(":")
            if service == "iam" and not name.startswith(READING):
                assert ":policy/" not in allow.resource
                assert allow.resource != "*"
                changed = set(filter(allow.names_role, account()))
                assert changed <= ({EXECUTION} if name == "passrole" else set()) | {WORKLOAD}, (role, allow)


def test_a_condition_is_only_on_actions_that_have_its_key() -> None:
    """IAM denies an action whose request lacks the key, so a deployment would fail."""
    for allowed in account().values():
        for allow in allowed:
            assert "iam:PermissionsBoundary" not in allow.required or allow.action in BOUNDED, allow
            assert "iam:PassedToService" not in allow.required or allow.action == "iam:passrole", allow
