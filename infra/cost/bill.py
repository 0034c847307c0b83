"""Computes a monthly bill from templates, resource by resource. A type without a price is listed as not priced."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.config import WORKLOAD
from infra.cost import prices
from infra.cost.prices import FREE, HOURS, NOT_PRICED, Price
from infra.model import ConfigurationError, Service, Traffic

Properties = Mapping[str, Any]

MONTHS = (0, 1_000_000, 10_000_000)
"""Requests per month, one column each."""
_PUTS_THOUSAND = 2 * 12 * HOURS / 1000
"""Thousands a month. AWS: each of the two nodes of the load balancer writes a file every five minutes."""
_UNLIMITED_DAYS = 365
"""Assumed retention of logs that never expire."""
_DAYS_IN_MONTH = 30
_IMAGES_GB = 2.0
"""About thirty images of 70 MB, compressed."""
_STANDARD_PERIOD = 60
"""AWS: an alarm with a shorter period, in seconds, is a high-resolution alarm."""
_ACCESS_LINE_KB = 0.1
"""Line of the load balancer's access log, compressed."""
_BLOCKED_KB = 0.01 * 2
"""The web ACL blocks 1% of requests, each with a log line of 2 kB."""
_REJECTED_GB = 0.1
"""Flow log of a month: rejected connections."""
_MONTHS_STORED = 12
"""Data of the workload accumulates: storage is billed as after a year."""
_LOG_KB = 0.4
"""Log lines of a request, including CloudWatch's 26 bytes for each."""
_METRICS_KB = 0.2
"""Embedded metrics in them."""
_CONNECTIONS = 0.5
"""Share of the requests that open a connection."""
_TRAFFIC: Traffic = WORKLOAD.traffic


class UnpricedError(ConfigurationError):
    """A resource has an option without a price."""


@dataclass(frozen=True)
class Line:
    """A quantity at a price."""

    label: str
    price: Price
    quantity: float

    @property
    def dollars(self) -> float:
        return self.price.amount * self.quantity


@dataclass(frozen=True)
class Bill:
    """The lines of a month. Quantities with the same label and price are added up."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> float:
        return sum(line.dollars for line in self.lines)


@dataclass(frozen=True)
class Month:
    """The resources of several templates, sorted by type, and millions of requests in a month."""

    resources: Sequence[Mapping[str, Any]]
    millions: float
    at_ceilings: bool = False
    """Whether tasks and tables are used as much as their settings allow, all month."""

    def of_type(self, kind: str) -> list[Properties]:
        return [resource.get("Properties", {}) for resource in self.resources if resource["Type"] == kind]

    @property
    def embeds_metrics(self) -> bool:
        """Whether the log lines of a task contain metrics."""
        return any(
            variable["Name"] == WORKLOAD.metrics_variable
            for task in self.of_type("AWS::ECS::TaskDefinition")
            for container in task["ContainerDefinitions"]
            for variable in container.get("Environment", [])
        )

    @property
    def app_log_gb(self) -> float:
        return self.millions * (_LOG_KB + (_METRICS_KB if self.embeds_metrics else 0))

    def usage(self, service: Service) -> tuple[float, float, float]:
        """Return a resource's share of the workload's writes and reads, in millions, and of its data in GB."""
        owned = [each for each in WORKLOAD.owns if each.service is service]
        share = self.millions / max(len(owned), 1)
        return (
            share * sum(each.writes for each in owned),
            share * sum(each.reads for each in owned),
            share * sum(each.stored_kb for each in owned) * _MONTHS_STORED,
        )


def bill(templates: Iterable[Mapping[str, Any]], requests: int, *, at_ceilings: bool = False) -> Bill:
    """Return the bill of the templates' resources for a month's requests."""
    # Not by logical ID: two templates may use the same one.
    resources = [resource for template in templates for resource in template.get("Resources", {}).values()]
    month = Month(sorted(resources, key=lambda resource: str(resource["Type"])), requests / 1_000_000, at_ceilings)
    quantities: dict[tuple[str, Price], float] = {}
    for resource in month.resources:
        if (kind := resource["Type"]) in FREE:
            continue
        handler = HANDLERS.get(kind) or (lambda *_, kind=kind: [Line(f"not priced: {kind}", NOT_PRICED, 0)])
        for line in handler(resource.get("Properties", {}), month):
            key = line.label, line.price
            quantities[key] = quantities.get(key, 0.0) + line.quantity
    return Bill(tuple(Line(label, price, quantity) for (label, price), quantity in quantities.items()))


def bills(of: Sequence[Mapping[str, Any]]) -> list[Bill]:
    """Return a bill for each of MONTHS."""
    return [bill(of, requests) for requests in MONTHS]


@dataclass(frozen=True)
class Ceilings:
    """A month with a single request, except that everything with a ceiling is used up to it."""

    capped: tuple[Line, ...]
    total: float
    uncapped: tuple[str, ...]
    """Labels of the lines that grow with requests without a ceiling."""


def ceilings(of: Sequence[Mapping[str, Any]]) -> Ceilings:
    _, few, many = bills(of)
    idle, full = bill(of, 1), bill(of, 1, at_ceilings=True)
    capped = [most for least, most in zip(idle.lines, full.lines, strict=True) if most.dollars > least.dollars]
    growing = [more.label for less, more in zip(few.lines, many.lines, strict=True) if more.dollars > less.dollars]
    labels = {line.label for line in capped}
    return Ceilings(tuple(capped), full.total, tuple(label for label in growing if label not in labels))


def rows(columns: Sequence[Bill]) -> Iterator[str]:
    """Yield a row for each line of the bills, then the total."""
    yield from (line_row(*lines) for lines in zip(*(column.lines for column in columns), strict=True))
    yield row("total", "", [column.total for column in columns])


def line_row(*lines: Line) -> str:
    price = f"{lines[0].price.amount:.7g} per {lines[0].price.unit}"
    return row(lines[0].label, price, [line.dollars for line in lines])


def row(label: str, price: str, dollars: Sequence[float]) -> str:
    return f"{label:<39}{price:<31}" + "".join(f"{each:>12.2f}" for each in dollars)


def _web_acl(properties: Properties, month: Month) -> Iterator[Line]:
    yield Line("web ACL", prices.WEB_ACL, 1)
    yield Line("web ACL: rules", prices.WEB_ACL_RULE, len(properties["Rules"]))
    yield Line("web ACL: requests", prices.WEB_ACL_REQUESTS, month.millions)


def _load_balancer(properties: Properties, month: Month) -> Iterator[Line]:
    yield Line("load balancer", prices.LOAD_BALANCER, HOURS)
    # AWS: an LCU-hour covers 90,000 new connections (25 a second) or 1 GB, whichever is used more.
    units = month.millions * max(_CONNECTIONS / 0.09, _TRAFFIC.response_kb)
    yield Line("load balancer: use", prices.LOAD_BALANCER_UNIT, units)
    if properties["Scheme"] == "internet-facing":
        yield Line("public addresses of the load balancer", prices.IPV4, len(properties["Subnets"]) * HOURS)
        yield Line("data to the internet", prices.DATA_OUT, month.millions * _TRAFFIC.response_kb)


def _distribution(_: Properties, month: Month) -> Iterator[Line]:
    """Bill usage beyond the free tier. Data from the load balancer to CloudFront is free."""
    for label, price, used, free in (
        ("responses", prices.CLOUDFRONT_OUT, month.millions * _TRAFFIC.response_kb, prices.CLOUDFRONT_FREE_GB),
        ("requests", prices.CLOUDFRONT_REQUESTS, month.millions, prices.CLOUDFRONT_FREE_MILLIONS),
        # Each request calls the function that sets the viewer's address.
        ("functions", prices.CLOUDFRONT_FUNCTIONS, month.millions, prices.CLOUDFRONT_FREE_FUNCTION_MILLIONS),
    ):
        yield Line(f"CloudFront: {label}", price, max(used - free, 0))


def _nat_gateway(_: Properties, month: Month) -> Iterator[Line]:
    """Bill log lines, and responses, as their data comes from tables, unless those have a gateway endpoint."""
    gateways = len(month.of_type("AWS::EC2::NatGateway"))
    endpoints = [str(each["ServiceName"]) for each in month.of_type("AWS::EC2::VPCEndpoint")]
    data = 0.0 if any("dynamodb" in name for name in endpoints) else month.millions * _TRAFFIC.response_kb
    yield Line("NAT gateways", prices.NAT, HOURS)
    yield Line("NAT gateways: data", prices.NAT_DATA, (month.app_log_gb + data) / gateways)


def _endpoint(properties: Properties, month: Month) -> Iterator[Line]:
    if properties.get("VpcEndpointType", "Gateway") == "Gateway":
        return  # gateway endpoints are free
    yield Line("interface endpoints", prices.ENDPOINT, len(properties["SubnetIds"]) * HOURS)
    if "logs" in str(properties["ServiceName"]):
        yield Line("interface endpoints: data", prices.ENDPOINT_DATA, month.app_log_gb)


def _task_definition(_: Properties, month: Month) -> Iterator[Line]:
    if month.embeds_metrics:
        yield Line("metrics by route", prices.METRIC, _TRAFFIC.routes if month.millions else 0)


def _service(properties: Properties, month: Month) -> Iterator[Line]:
    """Bill the minimum number of tasks, which can serve the traffic that `make cost` shows."""
    targets = month.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    capacity = "MaxCapacity" if month.at_ceilings else "MinCapacity"
    tasks = int(targets[0][capacity] if targets else properties["DesiredCount"])
    if properties["NetworkConfiguration"]["AwsvpcConfiguration"].get("AssignPublicIp") == "ENABLED":
        yield Line("public addresses of tasks", prices.IPV4, tasks * HOURS)
    if "Monitoring" in properties:  # AWS: billed like detailed monitoring
        yield Line("high-resolution CPU", prices.METRIC, len(properties["Monitoring"]["MetricConfigurations"]))
    (task,) = month.of_type("AWS::ECS::TaskDefinition")  # a stage has one service
    arm = task.get("RuntimePlatform", {}).get("CpuArchitecture") == "ARM64"
    vcpu, memory = (prices.VCPU_ARM, prices.MEMORY_ARM) if arm else (prices.VCPU, prices.MEMORY)
    for label, price, size in (("CPU", vcpu, task["Cpu"]), ("memory", memory, task["Memory"])):
        yield Line(f"tasks: {label}", price, tasks * HOURS * int(size) / 1024)  # of 1024 units or MiB


def _alarm(properties: Properties, _: Month) -> Iterator[Line]:
    metrics = sum("MetricStat" in each for each in properties.get("Metrics", [])) or 1
    high_resolution = int(properties.get("Period", _STANDARD_PERIOD)) < _STANDARD_PERIOD
    yield Line("alarms", prices.HIGH_RESOLUTION_ALARM if high_resolution else prices.ALARM, metrics)
    if not properties.get("Namespace", "AWS/").startswith("AWS/"):
        yield Line("metrics of the workload", prices.METRIC, 1)


def _scaling_policy(properties: Properties, _: Month) -> Iterator[Line]:
    """Bill the two alarms that target tracking creates, one to scale out and one to scale in."""
    high_resolution = "HighResolution" in str(properties.get("TargetTrackingScalingPolicyConfiguration"))
    price = prices.HIGH_RESOLUTION_ALARM if high_resolution else prices.ALARM
    yield Line("alarms of autoscaling", price, 2)


def _log_group(properties: Properties, month: Month) -> Iterator[Line]:
    name = str(properties.get("LogGroupName", ""))
    if name.startswith("aws-waf-logs-"):
        written = month.millions * _BLOCKED_KB if month.of_type("AWS::WAFv2::WebACL") else 0.0
    elif name.endswith("/flow"):
        written = _REJECTED_GB if month.of_type("AWS::EC2::FlowLog") else 0.0
    else:
        written = month.app_log_gb
    yield Line("logs: written", prices.LOGS, written)
    yield Line(
        "logs: storage", prices.LOGS_KEPT, written * properties.get("RetentionInDays", _UNLIMITED_DAYS) / _DAYS_IN_MONTH
    )


def _table(properties: Properties, month: Month) -> Iterator[Line]:
    """Bill a table, or a global table with one replica, which costs the same."""
    if properties.get("BillingMode") != "PAY_PER_REQUEST":
        raise UnpricedError("a DynamoDB table with provisioned capacity has no price in infra/cost/bill.py: add it")
    (replica,) = properties.get("Replicas", [properties])
    writes, reads, stored = month.usage(Service.DYNAMODB)
    if month.at_ceilings:
        writes = _most(properties.get("WriteOnDemandThroughputSettings", {}).get("MaxWriteRequestUnits"))
        reads = _most(replica.get("ReadOnDemandThroughputSettings", {}).get("MaxReadRequestUnits"))
    yield Line("table: writes", prices.WRITES, writes)
    yield Line("table: reads", prices.READS, reads)
    yield Line("table: storage", prices.TABLE_STORAGE, stored)
    if replica.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield Line("table: point-in-time recovery", prices.TABLE_RECOVERY, stored)


def _most(units_per_second: int | None) -> float:
    """Return millions of units in a month at a ceiling; 0 without one."""
    return (units_per_second or 0) * HOURS * 3600 / 1_000_000


def _bucket(properties: Properties, month: Month) -> Iterator[Line]:
    """Bill the bucket of access logs, the only one that a stage has."""
    rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
    days = min((rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule), default=_UNLIMITED_DAYS)
    yield Line("access log: files", prices.OBJECTS_PUT, _PUTS_THOUSAND)
    yield Line("access log: storage", prices.OBJECTS_KEPT, month.millions * _ACCESS_LINE_KB * days / _DAYS_IN_MONTH)


def _identity(_: Properties, month: Month) -> Iterator[Line]:
    writes, _reads, _stored = month.usage(Service.SES)
    yield Line("emails", prices.EMAILS, writes * 1000)


HANDLERS: dict[str, Callable[[Properties, Month], Iterable[Line]]] = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": _scaling_policy,
    "AWS::CloudFront::Distribution": _distribution,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": lambda *_: [Line("dashboard", prices.DASHBOARD, 1)],
    "AWS::DynamoDB::GlobalTable": _table,
    "AWS::DynamoDB::Table": _table,
    "AWS::EC2::EIP": lambda *_: [Line("public addresses of NAT gateways", prices.IPV4, HOURS)],
    "AWS::EC2::NatGateway": _nat_gateway,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::ECR::Repository": lambda *_: [Line("images, shared by all stages", prices.IMAGES_KEPT, _IMAGES_GB)],
    "AWS::ECS::Service": _service,
    "AWS::ECS::TaskDefinition": _task_definition,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::SES::EmailIdentity": _identity,
    "AWS::SecretsManager::Secret": lambda *_: [Line("secrets", prices.SECRET, 1)],
    "AWS::WAFv2::WebACL": _web_acl,
}
