"""Release, roles and docs/permissions.md agree: a role may make the calls of its commands, and no other."""

import ast
from functools import cache
from pathlib import Path

import boto3
import pytest

import release
from infra.permissions import SETTINGS, TRUSTS, Trust
from tests.infra.synthesis import list_of, statements_of, templates, the
from tests.release.permission_table import rows

FOLDER = Path(release.__path__[0])
MODULES = {path.stem for path in FOLDER.glob("*.py")} - {"bootstrap"}
"""Without the one that a person runs, to prepare an account, before there is any role."""
CLIENTS = ("cloudformation", "ecr", "ecs", "logs")
OTHERWISE_NAMED = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""Calls whose permission has another name than the call."""
FREE = {"sts:GetCallerIdentity"}
"""AWS asks nobody for a permission."""
BY_DOCKER = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
}
LOGGING_IN = {"ecr:GetAuthorizationToken"}
BY_SYFT = {"ecr:GetDownloadUrlForLayer"}
THROUGH_CDK = {"sts:AssumeRole"}
BY_CDK = {
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DetectStackDrift",
    "cloudformation:GetTemplate",
}
"""`cdk diff` and `cdk drift` call these with the caller's permissions."""
BY_CLOUDFORMATION = {"cloudformation:DetectStackResourceDrift"}
"""AWS: what a caller of DetectStackDrift needs beside it, and the reading of each resource."""


def calls(*modules: str) -> set[str]:
    """Return every action of AWS that modules of the release call by boto3, such as ecs:DescribeServices."""
    found = set()
    for module in modules:
        nodes = list(ast.walk(ast.parse((FOLDER / f"{module}.py").read_text())))
        variables = dict(zip(CLIENTS, CLIENTS, strict=True))
        for node in nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made) if service := client_of(
                    made, {}
                ):
                    variables[name] = service
        for node in nodes:
            match node:
                case ast.Call(func=ast.Attribute(receiver, method), args=arguments):
                    if service := client_of(receiver, variables):
                        match method, arguments:
                            case "get_paginator", [ast.Constant(str(operation))]:
                                method = operation
                            case "get_waiter", _:
                                method = "describe_services"
                        action = f"{service}:{operations(service)[method]}"
                        found.add(OTHERWISE_NAMED.get(action, action))
    return found - FREE


def client_of(node: ast.expr, variables: dict[str, str]) -> str | None:
    """Return the service of an expression: `aws.ecs`, a variable, or a client that is made by its name."""
    match node:
        case ast.Call(func=ast.Attribute(attr="client" | "untyped"), args=[ast.Constant(str(service))]):
            return service
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return variables.get(name)
    return None


@cache
def operations(service: str) -> dict[str, str]:
    """Return the API's names of a client's methods."""
    client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]  # any service
    return dict(client.meta.method_to_api_mapping)


RELEASING = calls(*MODULES - {"destroy", "status"})
NEEDED = {
    "comments-deploy-dev": RELEASING | BY_DOCKER | BY_SYFT | THROUGH_CDK,
    "comments-deploy-prod": RELEASING - LOGGING_IN | THROUGH_CDK,
    "comments-preview": RELEASING | calls("destroy") | BY_DOCKER | BY_SYFT | THROUGH_CDK,
    "comments-read": calls("status", "logs") | {"cloudformation:DescribeStacks"} | BY_CDK | BY_CLOUDFORMATION,
}


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_role_may_make_the_calls_of_its_commands_and_no_other(trust: Trust) -> None:
    handed_on = {*SETTINGS.actions, "s3:ListBucket"} if trust.role == "comments-read" else set()
    assert set(trust.actions) - handed_on == NEEDED[trust.role]


def test_the_document_has_every_permission_and_no_other() -> None:
    documented = [(role, action) for row in rows() for role in row.roles for action in row.actions]
    assert len(documented) == len(set(documented))
    service = templates("playground").service
    task = the(service, "AWS::ECS::TaskDefinition")
    of_tasks = {
        (role, action)
        for role, reference in (("task", "TaskRoleArn"), ("execution", "ExecutionRoleArn"))
        for statement in statements_of(service, task[reference]["Fn::GetAtt"][0])
        for action in list_of(statement["Action"])
    }
    of_workflows = {(trust.role.rpartition("-")[2], action) for trust in TRUSTS for action in trust.actions}
    assert set(documented) == of_tasks | of_workflows
