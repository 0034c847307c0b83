"""Application Auto Scaling: task count limits and target tracking on CPU and request count."""

import math
import time

from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import cloudwatch, ecs

from playground.server.patching import Record

PERIOD_SECONDS = 3.0
"""Length of a metric period. AWS: one minute; shorter here so that scaling is quick to try out."""
PERIODS = 3
"""Consecutive periods above the target before scaling out, as on AWS. After each change, scaling also pauses for this
many periods instead of the policy's cooldown, so that values from before the change don't count."""
SCALE_IN_SECONDS = 5.0
"""How long a service must have surplus tasks before it scales in. AWS: 15 minutes, then the policy's cooldown."""

TARGETS: dict[str, Record] = {}
POLICIES: dict[str, Record] = {}
_changed_at: dict[str, float] = {}
_surplus_since: dict[str, float] = {}


def register(_logical_id: str, properties: Record, _stack: str) -> tuple[str, Record]:
    """AWS::ApplicationAutoScaling::ScalableTarget. AWS: raises the task count to a new minimum immediately."""
    if properties["ServiceNamespace"] != "ecs" or properties["ScalableDimension"] != "ecs:service:DesiredCount":
        raise ValueError(f"the playground scales ECS services only, not {properties['ScalableDimension']}")
    if properties.get("ScheduledActions"):
        raise ValueError("the playground has no scheduled scaling (ScheduledActions)")
    physical_id = f"{properties['ResourceId']}|{properties['ScalableDimension']}|{properties['ServiceNamespace']}"
    TARGETS[physical_id] = properties
    service, minimum = service_of(properties), int(properties["MinCapacity"])
    if service and service["desiredCount"] < minimum:
        set_count(physical_id, service, minimum)
    return physical_id, {"Id": physical_id}


def update(_physical_id: str, _old: Record, new: Record, stack: str) -> tuple[str, Record]:
    return register("", new, stack)


def deregister(physical_id: str, _properties: Record) -> None:
    TARGETS.pop(physical_id, None)


def put_policy(_logical_id: str, properties: Record, _stack: str) -> tuple[str, Record]:
    """AWS::ApplicationAutoScaling::ScalingPolicy: target tracking on one of the metrics in MEASURES."""
    configuration = properties.get("TargetTrackingScalingPolicyConfiguration") or {}
    metric = (configuration.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
    if metric not in MEASURES:
        raise ValueError(f"the playground scales on {' and '.join(MEASURES)}, not on {metric or 'other policies'}")
    name = f"{new_uuid()}:policyName/{properties['PolicyName']}"
    arn = f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{name}"
    POLICIES[arn] = properties
    return arn, {"Arn": arn}


def update_policy(physical_id: str, _old: Record, new: Record, _stack: str) -> tuple[str, Record]:
    POLICIES[physical_id] = new
    return physical_id, {"Arn": physical_id}


def delete_policy(physical_id: str, _properties: Record) -> None:
    POLICIES.pop(physical_id, None)


SCALABLE_TARGET: Record = {"create": register, "update": update, "delete": deregister}
SCALING_POLICY: Record = {"create": put_policy, "update": update_policy, "delete": delete_policy}


def service_of(target: Record) -> Record | None:
    _, cluster, name = target["ResourceId"].split("/")
    service: Record | None = ecs._services.get(f"{cluster}/{name}")
    return service if service and service["status"] == "ACTIVE" else None


def set_count(key: str, service: Record, count: int) -> None:
    _changed_at[key] = time.monotonic()
    cluster = ecs._cluster_name_from_arn(service["clusterArn"])
    ecs._update_service({"cluster": cluster, "service": service["serviceName"], "desiredCount": count})


def step() -> None:
    """Scale out after PERIODS above the target; scale in after SCALE_IN_SECONDS with surplus tasks."""
    for key, target in list(TARGETS.items()):
        service = service_of(target)
        if service is None or time.monotonic() - _changed_at.get(key, -math.inf) < PERIOD_SECONDS * PERIODS:
            continue
        policies = [policy for policy in POLICIES.values() if policy["ScalingTargetId"] == key]
        counts = [max([desired_count(service, each, ago) for each in policies], default=0) for ago in range(PERIODS)]
        minimum, maximum = int(target["MinCapacity"]), int(target["MaxCapacity"])
        more, enough = (min(max(count, minimum), maximum) for count in (min(counts), counts[0]))
        rolling = any(entry["rolloutState"] == "IN_PROGRESS" for entry in service["deployments"])
        if more > service["desiredCount"]:
            set_count(key, service, more)
        elif enough >= service["desiredCount"] or rolling:  # AWS: no scale-in during a deployment
            _surplus_since.pop(key, None)
        elif time.monotonic() - _surplus_since.setdefault(key, time.monotonic()) > SCALE_IN_SECONDS:
            set_count(key, service, enough)


def desired_count(service: Record, policy: Record, periods_ago: int) -> int:
    """Return the task count that would have met the policy's target in a given period, with AWS's formula."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    specification = configuration["PredefinedMetricSpecification"]
    measure = MEASURES[specification["PredefinedMetricType"]]
    per_task = measure(service, specification, periods_ago)
    return math.ceil(int(service["desiredCount"]) * per_task / float(configuration["TargetValue"]))


def cpu(service: Record, _specification: Record, periods_ago: int) -> float:
    """Average CPU utilization, in percent of the task's limit."""
    dimensions = {
        "ClusterName": ecs._cluster_name_from_arn(service["clusterArn"]),
        "ServiceName": service["serviceName"],
    }
    points = period("AWS/ECS", "CPUUtilization", dimensions, periods_ago)
    return sum(float(point["Value"]) for point in points) / len(points) if points else 0.0


def requests(_service: Record, specification: Record, periods_ago: int) -> float:
    """Requests per minute per task. AWS: ResourceLabel is app/NAME/ID/targetgroup/NAME/ID."""
    group = specification["ResourceLabel"].split("/", 3)[3]
    points = period("AWS/ApplicationELB", "RequestCountPerTarget", {"TargetGroup": group}, periods_ago)
    return sum(float(point["Value"]) for point in points) * 60 / PERIOD_SECONDS


MEASURES = {"ECSServiceAverageCPUUtilization": cpu, "ALBRequestCountPerTarget": requests}


def period(namespace: str, name: str, dimensions: dict[str, str], ago: int) -> list[Record]:
    end = time.time() - PERIOD_SECONDS * ago
    points: list[Record] = cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions)), [])
    return [point for point in points if end - PERIOD_SECONDS <= point["Timestamp"] < end]
