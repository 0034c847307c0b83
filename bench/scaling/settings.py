"""The stage's real settings, read from the template that is deployed."""

import functools
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.scaling.measured import APP_STARTS, RESERVED_ADDRESSES, TASK_STARTS
from infra.cost.__main__ import templates
from infra.cost.line import Resources
from infra.stages import Stage

_HIGH_RESOLUTION = "HighResolution"


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """A target-tracking policy: the metric's kind, its target and the seconds between its values."""

    metric: str
    target: float
    every: int
    cooldown: float
    """Seconds after a step in which only a larger one is taken."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a stage scales."""

    least: int
    most: int
    vcpu: float
    policies: tuple[Tracking, ...]
    until_serving: float
    """Seconds from a decision to a task that the balancer sends requests to."""
    addresses: int
    """Addresses that are left in the subnets of the tasks."""


@functools.cache
def synthesized(stage: Stage) -> list[Mapping[str, Any]]:
    """Return the stage's templates, made once."""
    return templates(stage)


def read(stage: Stage) -> Settings:
    """Take the stage's settings out of its templates."""
    resources = Resources.of(synthesized(stage))
    (target,) = resources.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    (task,) = resources.of_type("AWS::ECS::TaskDefinition")
    groups = resources.of_type("AWS::ElasticLoadBalancingV2::TargetGroup")
    checks = groups[0]["HealthyThresholdCount"] * groups[0]["HealthCheckIntervalSeconds"]
    return Settings(
        least=int(target["MinCapacity"]),
        most=int(target["MaxCapacity"]),
        vcpu=int(task["Cpu"]) / 1024,
        policies=tuple(map(_tracking, resources.of_type("AWS::ApplicationAutoScaling::ScalingPolicy"))),
        until_serving=TASK_STARTS + APP_STARTS + checks,
        addresses=sum(map(_addresses, resources.of_type("AWS::EC2::Subnet"))),
    )


def _tracking(policy: Mapping[str, Any]) -> Tracking:
    said = policy["TargetTrackingScalingPolicyConfiguration"]
    metric = said["PredefinedMetricSpecification"]["PredefinedMetricType"]
    return Tracking(
        metric=metric.removesuffix(_HIGH_RESOLUTION),
        target=float(said["TargetValue"]),
        every=20 if metric.endswith(_HIGH_RESOLUTION) else 60,
        cooldown=float(said["ScaleOutCooldown"]),
    )


def _addresses(subnet: Mapping[str, Any]) -> int:
    return ipaddress.ip_network(subnet["CidrBlock"]).num_addresses - RESERVED_ADDRESSES
