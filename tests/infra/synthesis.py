"""The templates of a stage, synthesized once per test session and shared by everyone who asks."""

import functools
import os
from dataclasses import dataclass
from typing import Any

os.environ["CDK_VALIDATION"] = "false"  # CDK's own validation is three quarters of a synthesis; `make check` runs it

import aws_cdk as cdk
from aws_cdk.assertions import Template

from infra.context import Context
from infra.main import compose
from infra.stages import ACCESS_STACK, REGISTRY_STACK, Stage, stage_named
from infra.target import Target

DIGEST = "sha256:" + "ab" * 32
Resource = dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """The four stacks of a stage."""

    stage: Stage
    access: Template
    registry: Template
    foundation: Template
    service: Template


@functools.cache
def templates_of(stage: Stage, *, github: str | None = "example/comments", target: Target | None = None) -> Templates:
    app = cdk.App()
    compose(app, Context(stage=stage, digest=DIGEST, github=github), target or Target(account=None, region=None))
    app.synth()

    def template(name: str) -> Template:
        stack = app.node.find_child(name)
        assert isinstance(stack, cdk.Stack)
        return Template.from_stack(stack)

    return Templates(
        stage,
        access=template(ACCESS_STACK),
        registry=template(REGISTRY_STACK),
        foundation=template(stage.foundation_stack),
        service=template(stage.service_stack),
    )


def templates(name: str) -> Templates:
    return templates_of(stage_named(name))


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


def attributes(resource: Resource, key: str) -> dict[str, Any]:
    """Return a list of Key/Value pairs as a dictionary."""
    return {pair["Key"]: pair["Value"] for pair in resource[key]}
