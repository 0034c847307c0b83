"""Templates of a stage, synthesized once per test session."""

import functools
import os
from dataclasses import dataclass, replace
from typing import Any

os.environ["CDK_VALIDATION"] = "false"  # CDK's validation is three quarters of a synthesis; `make check` runs it

import aws_cdk as cdk
from aws_cdk.assertions import Template

from infra.app import add_stacks
from infra.stages import ACCESS_STACK, REGISTRY_STACK, STAGES, Domain, Repository, Stage, Target, stage_named

DOMAIN = Domain(name="comments.example.com", hosted_zone_id="Z0123456789EXAMPLE", zone_name="example.com")
GITHUB = Repository(name="example/comments", owner_id=1001, repository_id=2002)
EMAIL = "ops@example.com"
Resource = dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """The four stacks of a stage."""

    stage: Stage
    access: Template
    registry: Template
    data: Template
    service: Template


@functools.cache
def templates_of(stage: Stage, *, target: Target | None = None) -> Templates:
    app = cdk.App()
    add_stacks(app, stage, target or Target(stage.account, stage.region))
    app.synth()

    def template(name: str) -> Template:
        stack = app.node.find_child(name)
        assert isinstance(stack, cdk.Stack)
        return Template.from_stack(stack)

    return Templates(
        stage,
        access=template(ACCESS_STACK),
        registry=template(REGISTRY_STACK),
        data=template(stage.data_stack),
        service=template(stage.service_stack),
    )


def templates(name: str) -> Templates:
    """Return the templates of a stage that GitHub may deploy."""
    return templates_of(replace(stage_named(name), github=GITHUB))


def variant(name: str = "dev", **fields: Any) -> Templates:
    """Return the templates of a stage with other fields."""
    return templates_of(replace(STAGES[name], **fields))


def the(template: Template, resource_type: str, properties: Resource | None = None) -> Resource:
    """Return the properties of the only resource of its type (and, if given, with these properties)."""
    found = template.find_resources(resource_type, {"Properties": properties} if properties else None)
    assert len(found) == 1, f"{len(found)} resources of {resource_type}, not one"
    properties_found: Resource = next(iter(found.values()))["Properties"]
    return properties_found


def every(template: Template, resource_type: str) -> list[Resource]:
    """Return the properties of each resource of the type."""
    return [resource.get("Properties", {}) for resource in template.find_resources(resource_type).values()]


def container(template: Template) -> Resource:
    """Return the one container of the task."""
    definitions: list[Resource] = the(template, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    (only,) = definitions
    return only


def environment(template: Template) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in container(template)["Environment"]}


def attributes(resource: Resource, key: str) -> dict[str, Any]:
    """Return a list of Key/Value pairs as a dictionary."""
    return {pair["Key"]: pair["Value"] for pair in resource[key]}


def statements_of(template: Template, role: str) -> list[Resource]:
    """Return the statements of the policies that are attached to a role, by its logical ID."""
    policies = [each for each in every(template, "AWS::IAM::Policy") if {"Ref": role} in each["Roles"]]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def list_of(value: str | list[str]) -> list[str]:
    """Return a list of which CloudFormation allows the only element alone."""
    return [value] if isinstance(value, str) else value
