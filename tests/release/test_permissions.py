"""Release, roles and docs/permissions.md agree: a role may make the calls of its commands, and no other."""

import re
from functools import cache
from pathlib import Path

import boto3
import pytest

import release
from infra.permissions import SETTINGS, WORKFLOW_ROLES, WorkflowRole
from tests.infra.synthesis import actions_of, list_of, statements_of, templates, the
from tests.release.permission_table import rows

FOLDER = Path(release.__path__[0])
MODULES = {path.stem for path in FOLDER.glob("*.py")} - {"bootstrap"}
"""Without the one that a person runs, to prepare an account, before there is any role."""
CLIENTS = {name: name for name in ("cloudformation", "ecr", "ecs", "logs")}
CALL = re.compile(r'(?:\w+\.untyped\("([\w-]+)"\)|\b(\w+))\.(?:get_paginator\("(\w+)"|(\w+)\()')
OTHERWISE_NAMED = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
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
BY_TRIVY = {"ecr:GetDownloadUrlForLayer"}
BY_CDK = {
    "cloudformation:DescribeStackDriftDetectionStatus",
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DetectStackDrift",
    "cloudformation:GetTemplate",
}
"""`cdk diff` and `cdk drift` call these with the caller's permissions."""
BY_CLOUDFORMATION = {"cloudformation:BatchDescribeTypeConfigurations", "cloudformation:DetectStackResourceDrift"}
"""AWS: what a caller of DetectStackDrift needs beside it, and the reading of each resource."""


def calls(*modules: str) -> set[str]:
    """Return every action of AWS that modules of the release call by boto3, such as ecs:DescribeServices."""
    found = set()
    for module in modules:
        source = (FOLDER / f"{module}.py").read_text()
        clients = dict(re.findall(r'(\w+) = \S+\.(?:client|untyped)\("([\w-]+)"', source)) | CLIENTS
        for made, name, page, method in CALL.findall(source):
            if service := made or clients.get(name):
                operation = operations(service)["describe_services" if method == "get_waiter" else page or method]
                found.add(OTHERWISE_NAMED.get(f"{service}:{operation}", f"{service}:{operation}"))
    return found - FREE


@cache
def operations(service: str) -> dict[str, str]:
    """Return the API's names of a client's methods."""
    client = boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]  # any service
    return dict(client.meta.method_to_api_mapping)


RELEASING = calls(*MODULES - {"destroy", "status"}) | {"sts:AssumeRole"}  # for the roles of CDK
NEEDED = {
    "comments-deploy-dev": RELEASING | BY_TRIVY | BY_DOCKER,
    "comments-deploy-prod": RELEASING | BY_TRIVY,
    "comments-preview": RELEASING | BY_TRIVY | BY_DOCKER | calls("destroy"),
    "comments-read": calls("status", "logs") | {"cloudformation:DescribeStacks"} | BY_CDK | BY_CLOUDFORMATION,
}


@pytest.mark.parametrize("role", WORKFLOW_ROLES, ids=lambda role: role.name)
def test_a_role_may_make_the_calls_of_its_commands_and_no_other(role: WorkflowRole) -> None:
    handed_on = {*SETTINGS.actions, "s3:ListBucket"} if role.name == "comments-read" else set()
    assert actions_of(role) - handed_on == NEEDED[role.name]


def test_the_document_has_every_permission_and_no_other() -> None:
    documented = [(role, action) for role, action, _ in rows()]
    assert len(documented) == len(set(documented))
    service = templates("playground").service
    task = the(service, "AWS::ECS::TaskDefinition")
    of_tasks = {
        (role, action)
        for role, reference in (("task", "TaskRoleArn"), ("execution", "ExecutionRoleArn"))
        for statement in statements_of(service, task[reference]["Fn::GetAtt"][0])
        for action in list_of(statement["Action"])
    }
    of_workflows = {(role.name.rpartition("-")[2], action) for role in WORKFLOW_ROLES for action in actions_of(role)}
    assert set(documented) == of_tasks | of_workflows
