"""Reads a bill out of templates: each resource's lines, by its type; a type that nobody priced is an error."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.cost import prices
from infra.cost.fargate import cluster_lines, service_lines, task_lines
from infra.cost.line import Line, Resources, UnpricedError
from infra.cost.network import balancer_lines, endpoint_lines, nat_lines
from infra.cost.prices import FREE, HOURS, Price
from infra.cost.traffic import NOISE_GB, Traffic

_PUTS_THOUSAND = 2 * 12 * HOURS / 1000
"""Two balancer nodes write a file every five minutes."""
_YEAR_OF_DAYS = 365
"""What is kept for ever is counted as after a year."""
_DAYS = 30
_IMAGES_GB = 2.0
"""About thirty images of 70 MB, compressed."""

Handler = Callable[[Mapping[str, Any], Resources, Traffic], Iterator[Line]]


def web_acl(properties: Mapping[str, Any], _: Resources, traffic: Traffic) -> Iterator[Line]:
    yield Line("web ACL", prices.WEB_ACL, 1)
    yield Line("web ACL: rules", prices.WEB_ACL_RULE, len(properties["Rules"]))
    yield Line("web ACL: requests", prices.WEB_ACL_REQUESTS, traffic.millions)


def alarm(properties: Mapping[str, Any], _: Resources, __: Traffic) -> Iterator[Line]:
    watched = sum("MetricStat" in each for each in properties.get("Metrics", [])) or 1
    yield Line("alarms", prices.ALARM, watched)


def scaling_policy(properties: Mapping[str, Any], _: Resources, __: Traffic) -> Iterator[Line]:
    """Bill two alarms: target tracking makes one to add and one to remove tasks."""
    often = "HighResolution" in str(properties.get("TargetTrackingScalingPolicyConfiguration"))
    yield Line("alarms of autoscaling", prices.ALARM_OF_SECONDS if often else prices.ALARM, 2)


def log_group(properties: Mapping[str, Any], resources: Resources, traffic: Traffic) -> Iterator[Line]:
    name = str(properties.get("LogGroupName", ""))
    if name.startswith("aws-waf-logs-"):
        written = traffic.refused_gb if resources.any_of("AWS::WAFv2::WebACL") else 0.0
    elif name.endswith("/flow"):
        written = NOISE_GB if resources.any_of("AWS::EC2::FlowLog") else 0.0
    else:
        written = traffic.line_gb(metrics=resources.embeds_metrics)
    kept = written * properties.get("RetentionInDays", _YEAR_OF_DAYS) / _DAYS
    yield Line("logs: written", prices.LOGS, written)
    yield Line("logs: kept", prices.LOGS_KEPT, kept)


def table(properties: Mapping[str, Any], _: Resources, traffic: Traffic) -> Iterator[Line]:
    if properties.get("BillingMode") != "PAY_PER_REQUEST":
        raise UnpricedError("AWS::DynamoDB::Table with provisioned capacity has no price in infra/cost/bill.py: add it")
    yield Line("table: writes", prices.WRITES, traffic.posted_millions)
    yield Line("table: reads", prices.READS, traffic.read_units_millions)
    yield Line("table: kept", prices.TABLE_STORAGE, traffic.stored_gb)
    if properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield Line("table: recovery to any second", prices.TABLE_RECOVERY, traffic.stored_gb)


def bucket(properties: Mapping[str, Any], _: Resources, traffic: Traffic) -> Iterator[Line]:
    rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
    days = min((rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule), default=_YEAR_OF_DAYS)
    yield Line("access log: files", prices.OBJECTS_PUT, _PUTS_THOUSAND)
    yield Line("access log: kept", prices.OBJECTS_KEPT, traffic.access_line_gb * days / _DAYS)


def one(label: str, price: Price, quantity: float = 1) -> Handler:
    """Return what prices a resource that costs the same whatever it is like."""

    def lines(_: Mapping[str, Any], __: Resources, ___: Traffic) -> Iterator[Line]:
        yield Line(label, price, quantity)

    return lines


HANDLERS: dict[str, Handler] = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": scaling_policy,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": one("dashboard", prices.DASHBOARD),
    "AWS::DynamoDB::Table": table,
    "AWS::EC2::EIP": one("public addresses of NAT gateways", prices.IPV4, HOURS),
    "AWS::EC2::NatGateway": nat_lines,
    "AWS::EC2::VPCEndpoint": endpoint_lines,
    "AWS::ECR::Repository": one("images, shared by all stages", prices.IMAGES_KEPT, _IMAGES_GB),
    "AWS::ECS::Cluster": cluster_lines,
    "AWS::ECS::Service": service_lines,
    "AWS::ECS::TaskDefinition": task_lines,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": balancer_lines,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
    "AWS::SecretsManager::Secret": one("moderator's secret", prices.SECRET),
    "AWS::WAFv2::WebACL": web_acl,
}


@dataclass(frozen=True)
class Bill:
    """A month's lines; those of the same kind and price are one."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> float:
        return sum(line.dollars for line in self.lines)


def bill(templates: Iterable[Mapping[str, Any]], traffic: Traffic) -> Bill:
    """Return what the templates' resources cost in a month of that traffic; raise UnpricedError for an unknown type."""
    resources = Resources.of(templates)
    quantities: dict[tuple[str, Price], float] = {}
    for kind, properties in resources.every():
        if kind in FREE:
            continue
        if kind not in HANDLERS:
            raise UnpricedError(f"{kind} has no price: add it to infra/cost, or to FREE in infra/cost/prices.py")
        for line in HANDLERS[kind](properties, resources, traffic):
            key = line.label, line.price
            quantities[key] = quantities.get(key, 0.0) + line.quantity
    return Bill(tuple(Line(label, price, quantity) for (label, price), quantity in quantities.items()))
