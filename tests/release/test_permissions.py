"""The release command and the access stack agree: each AWS call that one makes, the other allows."""

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra import release
from infra.access import TRUSTS

BY_A_PERSON = {"bootstrap"}
"""Modules that prepare an account, before there is any role."""
MODULES = sorted(path for path in Path(release.__path__[0]).glob("*.py") if path.stem not in BY_A_PERSON)
SERVICES = {
    "cloudformation": "cloudformation",
    "ecr": "ecr",
    "ecs": "ecs",
    "elbv2": "elasticloadbalancing",
    "logs": "logs",
}
RECEIVERS = {"_ecr": "ecr", **{name: name for name in SERVICES}}
MAKERS = {"client", "untyped"}
OTHERWISE_NAMED = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
}
"""Calls whose permission has another name than the call."""
FREE = {"sts:GetCallerIdentity"}
"""AWS asks nobody for a permission."""
DESTROYING = {"s3:ListBucket", "s3:DeleteObject"}
BUILDING = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
}
"""What `docker push` calls."""


def calls(*modules: str) -> set[str]:
    """Every action of AWS that modules of the release, or all of them, call by boto3, such as ecs:DescribeServices."""
    found = set()
    for module in MODULES:
        if modules and module.stem not in modules:
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
            if method == "get_paginator" and isinstance(node.args[0], ast.Constant):
                method = str(node.args[0].value)
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
    makes = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS
    return str(node.args[0].value) if makes and isinstance(node.args[0], ast.Constant) else None


def allowed(role: str) -> set[str]:
    (trust,) = (trust for trust in TRUSTS if trust.role == role)
    return {action for statement in trust.statements for action in statement.actions}


def missing(needed: set[str], role: str) -> set[str]:
    patterns = allowed(role)
    return {action for action in needed if not any(fnmatch.fnmatch(action, pattern) for pattern in patterns)}


def test_the_calls_of_the_release_are_found() -> None:
    assert {"ec2:DescribeVpcs", "servicequotas:GetServiceQuota", "cloudformation:ListStacks"} <= calls()
    assert calls("destroy") == DESTROYING
    assert {"ecs:DescribeTasks", "ecr:PutImage", "cloudformation:DescribeStackEvents", "logs:GetLogEvents"} <= calls()


@pytest.mark.parametrize("role", ["comments-deploy-dev", "comments-preview"])
def test_a_role_that_builds_may_make_every_call(role: str) -> None:
    assert missing(calls() | BUILDING, role) == set()


def test_the_role_of_prod_may_make_every_call_but_those_of_a_build_and_of_an_end() -> None:
    assert missing(calls() - DESTROYING, "comments-deploy-prod") == set()
    assert missing(BUILDING | DESTROYING, "comments-deploy-prod") == BUILDING | DESTROYING


def test_the_reading_role_may_look_for_drift_and_differences() -> None:
    assert missing(calls("drift", "diff", "stacks"), "comments-read") == set()
