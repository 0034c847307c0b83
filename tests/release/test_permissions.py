"""The release command and the access stack agree: each AWS call that one makes, the other allows."""

import ast
import fnmatch
from pathlib import Path

import boto3
import pytest

from infra import release
from infra.access import TRUSTS

MODULES = sorted(Path(release.__path__[0]).glob("*.py"))
SERVICES = {
    "cloudformation": "cloudformation",
    "ecr": "ecr",
    "ecs": "ecs",
    "elbv2": "elasticloadbalancing",
    "logs": "logs",
}
RECEIVERS = {"_ecr": "ecr", **{name: name for name in SERVICES}}
BUILDING = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
}
"""What `docker push` calls."""


def calls() -> set[str]:
    """Every action of AWS that the modules of the release call by boto3, such as ecs:DescribeServices."""
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            receiver, method = node.func.value, node.func.attr
            name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
            if name not in RECEIVERS:
                continue
            if method == "get_paginator" and isinstance(node.args[0], ast.Constant):
                method = str(node.args[0].value)
            client = boto3.client(RECEIVERS[name], region_name="us-east-1")  # type: ignore[call-overload]  # any service
            found.add(f"{SERVICES[RECEIVERS[name]]}:{client.meta.method_to_api_mapping[method]}")
    return found


def allowed(role: str) -> set[str]:
    (trust,) = (trust for trust in TRUSTS if trust.role == role)
    return {action for statement in trust.statements for action in statement.actions}


def missing(needed: set[str], role: str) -> set[str]:
    patterns = allowed(role)
    return {action for action in needed if not any(fnmatch.fnmatch(action, pattern) for pattern in patterns)}


def test_the_calls_of_the_release_are_found() -> None:
    assert {"ecs:DescribeTasks", "ecr:PutImage", "cloudformation:DescribeStackEvents", "logs:GetLogEvents"} <= calls()


@pytest.mark.parametrize("role", ["comments-deploy-dev", "comments-preview"])
def test_a_role_that_builds_may_make_every_call(role: str) -> None:
    assert missing(calls() | BUILDING, role) == set()


def test_the_role_of_prod_may_make_every_call_but_those_of_a_build() -> None:
    assert missing(calls(), "comments-deploy-prod") == set()
    assert missing(BUILDING, "comments-deploy-prod") == BUILDING
