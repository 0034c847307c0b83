"""How a new image takes the place of the old one: the target groups, and what ECS does with them."""

import json
from collections.abc import Sequence
from typing import Protocol

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.base import acknowledge
from infra.options import Rollout

HEALTH_PATH = "/healthz"
DRAIN = cdk.Duration.seconds(15)
"""What requests in flight get when a task leaves; the slowest answer takes a fraction of it."""
PRODUCTION_RULE = "Production"
"""Construct id of the rule whose weights ECS rewrites."""
_SHIFTER_POLICY = "AmazonECSInfrastructureRolePolicyForLoadBalancers"
_NO_RULE = {"status": "UNAVAILABLE", "message": "the service is being set up: try again in a minute"}


class RolloutPlan(Protocol):
    """What the service and the listener have to know."""

    strategy: ecs.DeploymentStrategy
    shift: ecs.TrafficShiftConfig | None
    bake: cdk.Duration | None

    def connect(
        self, listener: elbv2.ApplicationListener, service: ecs.FargateService, *, container: str, port: int
    ) -> Sequence[elbv2.ApplicationTargetGroup]:
        """Send every request to healthy tasks of the service, and open the way from the balancer to them alone."""


class Rolling:
    """One target group: new tasks join it, old ones leave. It bakes for as long as its alarms need, says ECS."""

    strategy = ecs.DeploymentStrategy.ROLLING
    shift: ecs.TrafficShiftConfig | None = None
    bake: cdk.Duration | None = None

    def connect(
        self, listener: elbv2.ApplicationListener, service: ecs.FargateService, *, container: str, port: int
    ) -> Sequence[elbv2.ApplicationTargetGroup]:
        group = listener.add_targets(
            "Api",
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[service.load_balancer_target(container_name=container, container_port=port)],
            deregistration_delay=DRAIN,
            health_check=_health_check(),
        )
        return [group]


class Canary:
    """Two target groups behind one rule: a tenth of the requests first, then all. Each step outlasts the alarms."""

    strategy = ecs.DeploymentStrategy.CANARY
    shift: ecs.TrafficShiftConfig | None = ecs.TrafficShiftConfig(
        step_percent=10, step_bake_time=cdk.Duration.minutes(3)
    )
    bake: cdk.Duration | None = cdk.Duration.minutes(3)

    def connect(
        self, listener: elbv2.ApplicationListener, service: ecs.FargateService, *, container: str, port: int
    ) -> Sequence[elbv2.ApplicationTargetGroup]:
        blue, green = (
            elbv2.ApplicationTargetGroup(
                listener,
                name,
                vpc=listener.load_balancer.vpc,
                port=port,
                protocol=elbv2.ApplicationProtocol.HTTP,
                target_type=elbv2.TargetType.IP,
                deregistration_delay=DRAIN,
                health_check=_health_check(),
            )
            for name in ("Blue", "Green")
        )
        listener.add_action(
            "NoRule",
            action=elbv2.ListenerAction.fixed_response(
                503, content_type="application/json", message_body=json.dumps(_NO_RULE)
            ),
        )
        rule = elbv2.ApplicationListenerRule(
            listener,
            PRODUCTION_RULE,
            listener=listener,
            priority=1,
            conditions=[elbv2.ListenerCondition.path_patterns(["/*"])],
            action=elbv2.ListenerAction.weighted_forward(
                [
                    elbv2.WeightedTargetGroup(target_group=blue, weight=100),
                    elbv2.WeightedTargetGroup(target_group=green, weight=0),
                ]
            ),
        )
        alternate = ecs.AlternateTarget(
            "Alternate",
            alternate_target_group=green,
            production_listener=ecs.ListenerRuleConfiguration.application_listener_rule(rule),
            role=_shifter(listener),
        )
        blue.add_target(
            service.load_balancer_target(container_name=container, container_port=port, alternate_target=alternate)
        )
        return [blue, green]


def _shifter(scope: Construct) -> iam.Role:
    """Return the role in which ECS moves targets and weights."""
    role = iam.Role(
        scope,
        "Shifter",
        assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(_SHIFTER_POLICY)],
    )
    rule = f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_SHIFTER_POLICY}]"
    acknowledge(role, {rule: "AWS keeps in it exactly what ECS does to a balancer"})
    return role


ROLLOUTS: dict[Rollout, RolloutPlan] = {Rollout.ROLLING: Rolling(), Rollout.CANARY: Canary()}


def _health_check() -> elbv2.HealthCheck:
    """A check every 5 s; two good ones admit a task within 10 s.

    Five bad ones remove it: two misses under load would take a busy task of a quarter of a vCPU away from the others.
    """
    return elbv2.HealthCheck(
        path=HEALTH_PATH,
        healthy_http_codes="200",
        interval=cdk.Duration.seconds(5),
        timeout=cdk.Duration.seconds(4),
        healthy_threshold_count=2,
        unhealthy_threshold_count=5,
    )
