"""Templates of stages, each synthesized once per test session, and what AWS documents about IAM actions."""

import functools
import importlib.resources
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from aws_cdk.assertions import Template

from infra.app import app_of
from infra.checks import CERTIFICATE, CHECKED, DOMAIN, EMAIL, GITHUB, VPC
from infra.config import ACCESS_STACK, REGISTRY_STACK, stage_named
from infra.model import Stage
from infra.permissions import WorkflowRole

__all__ = ["CERTIFICATE", "CHECKED", "DOMAIN", "EMAIL", "GITHUB", "VPC"]

ROOT = Path(__file__).resolve().parents[2]
CFN_LINT = Path(str(importlib.resources.files("cfnlint"))) / "data"
"""cfn-lint carries AWS's list of IAM actions and the schemas of CloudFormation's registry."""
IAM: dict[str, dict[str, Any]] = json.loads((CFN_LINT / "AdditionalSpecs/Policies.json").read_text())
ACCOUNT, REGION = "111122223333", "eu-west-1"
TLS = "prod with TLS and endpoints"
CLOUDFRONT = "prod behind CloudFront"
CLOUDFRONT_ENDPOINTS = "prod behind CloudFront with endpoints"
CLOUDFRONT_DOMAIN = "prod behind CloudFront with a domain"
EXISTING_VPC = "prod in an existing VPC"
NAT = "dev with NAT and ARM"
Resource = dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """The four stacks of a stage."""

    access: Template
    registry: Template
    data: Template
    service: Template

    @property
    def all(self) -> tuple[Template, ...]:
        return self.access, self.registry, self.data, self.service


@functools.cache
def synthesize(stage: Stage) -> Templates:
    assembly = app_of(stage).synth()
    names = ACCESS_STACK, REGISTRY_STACK, stage.foundation_stack, stage.service_stack
    return Templates(*(Template.from_json(assembly.get_stack_by_name(name).template) for name in names))


def templates(name: str = "dev", **fields: Any) -> Templates:
    """Return the templates of a stage, or of an entry that `make check` checks, with other fields."""
    return synthesize(replace(CHECKED.get(name) or stage_named(name), **({"github": GITHUB} | fields)))


@functools.cache
def templates_of(package: str, title: str, stage: str) -> Templates:
    """Return the templates of a stage of another package, synthesized by `infra.app` without credentials."""
    nobody = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    with tempfile.TemporaryDirectory() as folder:
        cdk = {"CDK_CONTEXT_JSON": json.dumps({"stage": stage}), "CDK_OUTDIR": folder, "CDK_VALIDATION": "false"}
        variables = nobody | {"CONFIG_PACKAGE": package} | cdk
        subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=variables, check=True)
        names = "Access", "Registry", f"Foundation-{stage}", f"Service-{stage}"
        files = [Path(folder) / f"{title}{name}.template.json" for name in names]
        return Templates(*(Template.from_json(json.loads(file.read_text())) for file in files))


def the(template: Template, resource_type: str, properties: Resource | None = None) -> Resource:
    """Return the properties of the only resource of its type (and, if given, with these properties)."""
    found = template.find_resources(resource_type, {"Properties": properties} if properties else None)
    assert len(found) == 1, f"{len(found)} resources of {resource_type}, not one"
    (only,) = found.values()
    return dict(only["Properties"])


def every(template: Template, resource_type: str) -> list[Resource]:
    """Return the properties of each resource of the type."""
    return [resource.get("Properties", {}) for resource in template.find_resources(resource_type).values()]


def container(template: Template) -> Resource:
    """Return the one container of the task."""
    (only,) = the(template, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return dict(only)


def environment(template: Template) -> dict[str, str]:
    return {pair["Name"]: text(pair["Value"]) for pair in container(template)["Environment"]}


def attributes(resource: Resource, key: str) -> dict[str, Any]:
    """Return a list of Key/Value pairs as a dictionary."""
    return {pair["Key"]: pair["Value"] for pair in resource[key]}


def statements_of(template: Template, role: str | None = None) -> list[Resource]:
    """Return the statements of the policies that are attached to a role, by its logical ID, or to any."""
    policies = [each for each in every(template, "AWS::IAM::Policy") if not role or {"Ref": role} in each["Roles"]]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def actions_of(role: WorkflowRole) -> set[str]:
    """Return the actions of a role, some of them with wildcards."""
    return {action for statement in role.statements for action in statement.actions}


def list_of(value: Any) -> list[Any]:
    """Return a list; policies allow a single element without one."""
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """Return a string of a template with AWS's partition, and with * in place of other references."""
    if isinstance(value, str):
        return value
    if "Fn::Sub" in value:
        values = {"Partition": "aws", "AccountId": ACCOUNT, "Region": REGION}
        return re.sub(r"\$\{AWS::(\w+)\}", lambda name: values[name[1]], value["Fn::Sub"])
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(map(text, parts))
    return "aws" if value == {"Ref": "AWS::Partition"} else "*"


def grants(statements: list[Resource]) -> list[tuple[str, str]]:
    """Return each action of the statements with each of its resources."""
    return [
        (action, text(resource))
        for statement in statements
        for action in list_of(statement["Action"])
        for resource in list_of(statement["Resource"])
    ]


@functools.cache
def iam_actions(pattern: str) -> dict[str, dict[str, Any]]:
    """Return AWS's actions that match a pattern such as `ecs:Run*`, in lower case, with what AWS documents of each."""
    service, _, name = pattern.lower().partition(":")
    actions = IAM.get(service, {}).get("Actions", {})
    return {f"{service}:{each}": found for each, found in actions.items() if fnmatchcase(each, name)}
