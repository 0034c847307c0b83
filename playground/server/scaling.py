"""Application Auto Scaling: the limits of a service's count, and target tracking on the playground's own metrics."""

import math
import time
from typing import Any

from ministack.core.responses import get_account_id, get_region, json_response, new_uuid
from ministack.services import cloudwatch, ecs

from playground.server.patching import Record
from playground.server.services import extend, route

NAME = "application-autoscaling"
SCALE_IN_SECONDS = 10.0
"""How long a service must have had more tasks than it needs. AWS waits for 15 minutes of low metrics and for the
policy's cooldown; nobody who tries a deployment out should."""
SCALE_OUT_MINUTES = 3  # AWS: so many one-minute periods in a row above the target

TARGETS: dict[str, Record] = {}
POLICIES: dict[str, Record] = {}
_surplus_since: dict[str, float] = {}


def register(_logical_id: str, properties: Record, _stack: str) -> tuple[str, Record]:
    """AWS::ApplicationAutoScaling::ScalableTarget; like AWS it raises the count to a new minimum at once."""
    if properties["ServiceNamespace"] != "ecs" or properties["ScalableDimension"] != "ecs:service:DesiredCount":
        raise ValueError(f"the playground scales ECS services only, not {properties['ScalableDimension']}")
    if properties.get("ScheduledActions"):
        raise ValueError("the playground has no scheduled scaling (ScheduledActions)")
    physical_id = f"{properties['ResourceId']}|{properties['ScalableDimension']}|{properties['ServiceNamespace']}"
    TARGETS[physical_id] = properties
    raise_to_minimum(properties)
    return physical_id, {"Id": physical_id}


def update(_physical_id: str, _old: Record, new: Record, stack: str) -> tuple[str, Record]:
    return register("", new, stack)


def deregister(physical_id: str, _properties: Record) -> None:
    TARGETS.pop(physical_id, None)


def put_policy(_logical_id: str, properties: Record, _stack: str) -> tuple[str, Record]:
    """AWS::ApplicationAutoScaling::ScalingPolicy, target tracking on the two metrics that a service has."""
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


def set_count(service: Record, count: int) -> None:
    cluster = ecs._cluster_name_from_arn(service["clusterArn"])
    ecs._update_service({"cluster": cluster, "service": service["serviceName"], "desiredCount": count})


def raise_to_minimum(target: Record) -> None:
    service = service_of(target)
    if service and service["desiredCount"] < int(target["MinCapacity"]):
        set_count(service, int(target["MinCapacity"]))


def step() -> None:
    """Scale out where a policy has asked for more tasks for long enough, in where less would have done for a while."""
    for key, target in list(TARGETS.items()):
        service = service_of(target)
        if service is None:
            continue
        policies = [policy for policy in POLICIES.values() if policy["ScalingTargetId"] == key]
        minutes = [
            max([needed(service, policy, ago) for policy in policies] or [0]) for ago in range(SCALE_OUT_MINUTES)
        ]
        least, most = int(target["MinCapacity"]), int(target["MaxCapacity"])
        more, enough = (min(max(count, least), most) for count in (min(minutes), minutes[0]))
        rolling = any(entry["rolloutState"] == "IN_PROGRESS" for entry in service["deployments"])
        if more > service["desiredCount"]:
            set_count(service, more)
        elif enough >= service["desiredCount"] or rolling:  # AWS suspends scaling in during a deployment
            _surplus_since.pop(key, None)
        elif time.monotonic() - _surplus_since.setdefault(key, time.monotonic()) > SCALE_IN_SECONDS:
            set_count(service, enough)


def needed(service: Record, policy: Record, minutes_ago: int) -> int:
    """How many tasks would have brought the policy's metric to its target, this minute or an earlier one."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    specification = configuration["PredefinedMetricSpecification"]
    measure = MEASURES[specification["PredefinedMetricType"]]
    per_task = measure(service, specification, minutes_ago)
    return math.ceil(int(service["runningCount"]) * per_task / float(configuration["TargetValue"]))


def cpu(service: Record, _specification: Record, minutes_ago: int) -> float:
    """Percent of what a task may use."""
    dimensions = {
        "ClusterName": ecs._cluster_name_from_arn(service["clusterArn"]),
        "ServiceName": service["serviceName"],
    }
    points = minute("AWS/ECS", "CPUUtilization", dimensions, minutes_ago)
    return sum(float(point["Value"]) for point in points) / len(points) if points else 0.0


def requests(_service: Record, specification: Record, minutes_ago: int) -> float:
    """Requests of one minute and task; AWS: the label is app/NAME/ID/targetgroup/NAME/ID."""
    group = specification["ResourceLabel"].split("/", 3)[3]
    points = minute("AWS/ApplicationELB", "RequestCountPerTarget", {"TargetGroup": group}, minutes_ago)
    return sum(float(point["Value"]) for point in points)


MEASURES = {"ECSServiceAverageCPUUtilization": cpu, "ALBRequestCountPerTarget": requests}


def minute(namespace: str, name: str, dimensions: dict[str, str], ago: int) -> list[Record]:
    end = time.time() - 60 * ago
    points: list[Record] = cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions)), [])
    return [point for point in points if end - 60 <= point["Timestamp"] < end]


def describe_targets(_data: Record) -> Any:
    """DescribeScalableTargets."""
    keys = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    return json_response(
        {
            "ScalableTargets": [
                {
                    **{key: target[key] for key in keys},
                    "MinCapacity": int(target["MinCapacity"]),
                    "MaxCapacity": int(target["MaxCapacity"]),
                }
                for target in TARGETS.values()
            ]
        }
    )


def register_by_api(data: Record) -> Any:
    """RegisterScalableTarget: what it leaves out stays as it is."""
    key = f"{data['ResourceId']}|{data['ScalableDimension']}|{data['ServiceNamespace']}"
    register("", {**TARGETS.get(key, {}), **data}, "")
    return json_response({})


def install() -> None:
    route(NAME, "AnyScaleFrontendService")
    actions = {"DescribeScalableTargets": describe_targets, "RegisterScalableTarget": register_by_api}
    extend(NAME, "AnyScaleFrontendService", actions)
