"""Release, roles and docs/permissions.md agree: a role may make the calls of its commands, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

import release
from infra.permissions import SETTINGS, TRUSTS, Trust
from tests.infra.synthesis import every, templates
from tests.release.permission_table import rows

BY_A_PERSON = {"bootstrap"}
"""Modules that prepare an account, before there is any role."""
MODULES = sorted(path for path in Path(release.__path__[0]).glob("*.py") if path.stem not in BY_A_PERSON)
SERVICES = {
    "cloudformation": "cloudformation",
    "ecr": "ecr",
    "ecs": "ecs",
    "logs": "logs",
}
RECEIVERS = {name: name for name in SERVICES}
MAKERS = {"client", "untyped"}
OPERATIONS = {"get_paginator": "", "get_waiter": "describe_services"}
"""Methods that call an operation: the one they name, or that of the only waiter."""
OTHERWISE_NAMED = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""Calls whose permission has another name than the call."""
FREE = {"sts:GetCallerIdentity"}
"""AWS asks nobody for a permission."""
BUILDING = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
}
"""What `docker push` calls."""
LOGGING_IN = {"ecr:GetAuthorizationToken"}
THROUGH_CDK = {"sts:AssumeRole"}
BY_CLOUDFORMATION = {"cloudformation:DetectStackResourceDrift"}
"""AWS: what a caller of DetectStackDrift needs beside it, and the reading of each resource."""
BY_SYFT = {"ecr:GetDownloadUrlForLayer"}
CLEANING = ("destroy",)
BY_CDK = {
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DetectStackDrift",
    "cloudformation:GetTemplate",
}
"""`cdk diff` and `cdk drift` call these with the caller's permissions."""
LOOKING = ("status", "logs")
RELEASING = tuple(path.stem for path in MODULES if path.stem not in {*CLEANING, "status"})


def calls(*modules: str) -> set[str]:
    """Every action of AWS that modules of the release call by boto3, such as ecs:DescribeServices."""
    found = set()
    for module in MODULES:
        if module.stem not in modules:
            continue
        tree = ast.parse(module.read_text())
        named = RECEIVERS | dict(_assigned(tree))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            receiver, method = node.func.value, node.func.attr
            name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
            service = _client(receiver) or named.get(name)
            if not service:
                continue
            if method in OPERATIONS and isinstance(node.args[0], ast.Constant):
                method = OPERATIONS[method] or str(node.args[0].value)
            client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]  # any service
            action = f"{SERVICES.get(service, service)}:{client.meta.method_to_api_mapping[method]}"
            found.add(OTHERWISE_NAMED.get(action, action))
    return found - FREE


def _assigned(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each variable that holds a client, as in `s3 = aws.untyped("s3")`, and its service."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (service := _client(node.value)):
            yield node.targets[0].id, service


def _client(node: ast.AST) -> str | None:
    """Return the service of an expression that makes a client by its name."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS:
        return str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else None
    return None


NEEDED = {
    "comments-deploy-dev": calls(*RELEASING) | BUILDING | BY_SYFT | THROUGH_CDK,
    "comments-deploy-prod": calls(*RELEASING) - LOGGING_IN | THROUGH_CDK,
    "comments-preview": calls(*RELEASING, *CLEANING) | BUILDING | BY_SYFT | THROUGH_CDK,
    "comments-read": calls(*LOOKING) | {"cloudformation:DescribeStacks"} | BY_CDK | BY_CLOUDFORMATION,
}


def test_the_calls_of_the_release_are_found() -> None:
    assert {"ec2:DescribeVpcs", "ecs:DescribeTasks", "ecr:PutImage", "logs:GetLogEvents"} <= calls(*RELEASING)
    assert calls("destroy") == {"s3:ListBucket", "s3:DeleteObject", "cloudformation:ListStacks"}


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_role_may_make_the_calls_of_its_commands_and_no_other(trust: Trust) -> None:
    handed_on = {*SETTINGS.actions, "s3:ListBucket"} if trust.role == "comments-read" else set()
    assert set(trust.actions) - handed_on == NEEDED[trust.role]


def granted() -> set[tuple[str, str]]:
    """Return each role, by its short name, with each action that it may perform."""
    service = templates("playground").service
    (task,) = every(service, "AWS::ECS::TaskDefinition")
    of_tasks = {
        (role, action)
        for role, reference in (("task", "TaskRoleArn"), ("execution", "ExecutionRoleArn"))
        for policy in every(service, "AWS::IAM::Policy")
        if {"Ref": task[reference]["Fn::GetAtt"][0]} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in _list(statement["Action"])
    }
    return of_tasks | {(trust.role.rpartition("-")[2], action) for trust in TRUSTS for action in trust.actions}


def test_the_document_has_every_permission_and_no_other() -> None:
    documented = [(role, action) for row in rows() for role in row.roles for action in row.actions]
    assert len(documented) == len(set(documented))
    assert set(documented) == granted()


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
