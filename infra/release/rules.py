"""Refuses to change the rule whose weights ECS shifts in a canary: CloudFormation would put the template's back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.options import Rollout
from infra.release.aws import Aws
from infra.release.deploy import Cdk
from infra.release.errors import DeploymentError
from infra.release.stacks import describe

Template = Mapping[str, Any]

_UNSEEN = ("Tags",)
"""Properties of a rule that CloudFormation changes without touching the weights."""


def require_same_rules(aws: Aws, cdk: Cdk, *, digest: str | None) -> None:
    """Raise DeploymentError if a canary's production rule would not stay as it is deployed."""
    stack = aws.stage.service_stack
    if aws.stage.rollout is not Rollout.CANARY or not describe(aws.cloudformation, stack):
        return
    deployed = aws.cloudformation.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    changes = changed_rules(
        json.loads(deployed) if isinstance(deployed, str) else deployed, cdk.template(stack, digest=digest)
    )
    if changes:
        raise DeploymentError(
            f"the listener's rule of {aws.stage.name}'s canary would change, and half of the requests could go to tasks"
            " that are no more: set the stage's rollout to ROLLING and deploy, make the change and deploy,"
            " then set it to CANARY again",
            *changes,
        )


def changed_rules(deployed: Template, planned: Template) -> list[str]:
    """Return what would change about production rules; nothing where either side has none, as from or to rolling."""
    before, after = _production_rules(deployed), _production_rules(planned)
    if not before or not after:
        return []
    return [
        f"{name}: {_difference(before.get(name), after.get(name))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _production_rules(template: Template) -> dict[str, dict[str, Any]]:
    """Return the rules that a service names as its production rules, by logical id."""
    resources = template["Resources"]
    named = {
        target.get("AdvancedConfiguration", {}).get("ProductionListenerRule", {}).get("Ref")
        for resource in resources.values()
        if resource["Type"] == "AWS::ECS::Service"
        for target in resource["Properties"].get("LoadBalancers", [])
    }
    return {
        name: {key: value for key, value in resources[name]["Properties"].items() if key not in _UNSEEN}
        for name in named
        if name in resources
    }


def _difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    if before is None or after is None:
        return "is new" if before is None else "is gone"
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return f"{', '.join(changed)} changes"
