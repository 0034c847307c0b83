"""The price of clusters, tasks and services."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.cost import prices
from infra.cost.line import Line, Resources
from infra.cost.prices import HOURS, Price
from infra.cost.traffic import ROUTES, Traffic

_CPU_UNITS, _MEBIBYTES = 1024, 1024
_INSIGHTS_METRICS = 38
"""AWS: ten metrics each of cluster, service and family, three more of the cluster and five of the service."""


def cluster_lines(properties: Mapping[str, Any], _: Resources, __: Traffic) -> Iterator[Line]:
    settings = {each["Name"]: each["Value"] for each in properties.get("ClusterSettings", [])}
    watched = settings.get("containerInsights", "disabled") != "disabled"
    if watched:
        yield Line("Container Insights", prices.METRIC, _INSIGHTS_METRICS)


def task_lines(_: Mapping[str, Any], resources: Resources, traffic: Traffic) -> Iterator[Line]:
    if resources.embeds_metrics:
        yield Line("metrics by route", prices.METRIC, ROUTES if traffic.requests else 0)


def service_lines(properties: Mapping[str, Any], resources: Resources, _: Traffic) -> Iterator[Line]:
    """Bill the least number of tasks: an even month of what `make cost` shows needs no more."""
    tasks = _least(properties, resources)
    network = properties["NetworkConfiguration"]["AwsvpcConfiguration"]
    if network.get("AssignPublicIp") == "ENABLED":
        yield Line("public addresses of tasks", prices.IPV4, tasks * HOURS)
    if "Monitoring" in properties:  # AWS: billed as detailed monitoring is
        yield Line("CPU by the second", prices.METRIC, len(properties["Monitoring"]["MetricConfigurations"]))
    definition = resources.referred(properties["TaskDefinition"])
    for number, discount in _split(tasks, properties.get("CapacityProviderStrategy", [])):
        yield from _task(definition, number, discount)


def _least(properties: Mapping[str, Any], resources: Resources) -> int:
    scaled = [int(target["MinCapacity"]) for target in resources.of_type("AWS::ApplicationAutoScaling::ScalableTarget")]
    return scaled[0] if scaled else int(properties["DesiredCount"])


def _split(tasks: int, strategy: list[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    """Yield how many tasks run at which discount; a provider's base first, the rest by weight."""
    base = sum(int(each.get("Base", 0)) for each in strategy)
    weights = sum(int(each.get("Weight", 0)) for each in strategy) or 1
    beyond = max(tasks - base, 0)
    spot = sum(beyond * int(each["Weight"]) / weights for each in strategy if "SPOT" in each["CapacityProvider"])
    yield tasks - spot, 0.0
    if spot:
        yield spot, prices.SPOT_DISCOUNT


def _task(definition: Mapping[str, Any], number: float, discount: float) -> Iterator[Line]:
    arm = definition.get("RuntimePlatform", {}).get("CpuArchitecture") == "ARM64"
    vcpu, memory = (prices.VCPU_ARM, prices.MEMORY_ARM) if arm else (prices.VCPU, prices.MEMORY)
    hours = number * HOURS
    kind = "tasks on Spot" if discount else "tasks"
    yield Line(f"{kind}: CPU", _less(vcpu, discount), hours * int(definition["Cpu"]) / _CPU_UNITS)
    yield Line(f"{kind}: memory", _less(memory, discount), hours * int(definition["Memory"]) / _MEBIBYTES)


def _less(price: Price, discount: float) -> Price:
    return Price(price.amount * (1 - discount), price.unit, price.source)
