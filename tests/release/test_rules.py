"""The rule that ECS rewrites while a canary goes on."""

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.options import Rollout
from infra.release.aws import Aws
from infra.release.deploy import Cdk
from infra.release.errors import DeploymentError
from infra.release.rules import changed_rules, require_same_rules
from infra.stages import STAGES, Stage

RULE = {"Priority": 1, "Actions": [{"Weight": 100}], "Conditions": ["/*"], "Tags": ["a"]}


def canary(**changes: object) -> dict[str, Any]:
    target = {"AdvancedConfiguration": {"ProductionListenerRule": {"Ref": "Production"}}}
    return {
        "Resources": {
            "Service": {"Type": "AWS::ECS::Service", "Properties": {"LoadBalancers": [target]}},
            "Production": {"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": {**RULE, **changes}},
            "Other": {"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": {"Priority": 7}},
        }
    }


ROLLING = {"Resources": {"Service": {"Type": "AWS::ECS::Service", "Properties": {"LoadBalancers": [{}]}}}}


def test_a_changed_rule_is_named_with_what_changes() -> None:
    assert changed_rules(canary(), canary(Conditions=["/api/*"], Priority=2)) == [
        "Production: Conditions, Priority changes"
    ]


def test_a_rule_under_another_name_would_be_made_anew() -> None:
    renamed = copy.deepcopy(canary())
    renamed["Resources"]["Rule2"] = renamed["Resources"].pop("Production")
    renamed["Resources"]["Service"]["Properties"]["LoadBalancers"][0]["AdvancedConfiguration"] = {
        "ProductionListenerRule": {"Ref": "Rule2"}
    }
    assert changed_rules(canary(), renamed) == ["Production: is gone", "Rule2: is new"]


@pytest.mark.parametrize(
    ("deployed", "planned"),
    [(canary(), canary()), (canary(), canary(Tags=["b"])), (ROLLING, canary()), (canary(), ROLLING)],
    ids=["nothing changes", "only tags change", "to canary", "back to rolling"],
)
def test_what_leaves_the_weights_alone_is_allowed(deployed: dict[str, Any], planned: dict[str, Any]) -> None:
    assert changed_rules(deployed, planned) == []


def require(stage: Stage, *, deployed: dict[str, Any] | None, planned: dict[str, Any]) -> None:
    cloudformation = SimpleNamespace(
        describe_stacks=lambda **_: {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]},
        get_template=lambda **_: {"TemplateBody": deployed},
    )
    aws = SimpleNamespace(stage=stage, cloudformation=cloudformation)
    cdk = SimpleNamespace(template=lambda _name, digest: planned)  # noqa: ARG005  # as Cdk.template has it
    require_same_rules(cast("Aws", aws), cast("Cdk", cdk), digest=None)


def test_a_deployment_that_would_reset_the_weights_is_refused_with_a_way_round() -> None:
    stage = replace(STAGES["prod"], rollout=Rollout.CANARY)
    with pytest.raises(DeploymentError, match="set the stage's rollout to ROLLING and deploy") as refused:
        require(stage, deployed=canary(), planned=canary(Priority=2))
    assert refused.value.details == ("Production: Priority changes",)
    require(stage, deployed=canary(), planned=canary())


def test_a_rolling_stage_is_not_asked() -> None:
    require(STAGES["prod"], deployed=None, planned=canary())
