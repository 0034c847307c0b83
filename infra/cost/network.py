"""The price of what carries traffic: balancer, NAT gateways, endpoints."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.cost import prices
from infra.cost.line import Line, Resources
from infra.cost.prices import HOURS
from infra.cost.traffic import Traffic


def balancer_lines(properties: Mapping[str, Any], _: Resources, traffic: Traffic) -> Iterator[Line]:
    yield Line("load balancer", prices.BALANCER, HOURS)
    yield Line("load balancer: use", prices.BALANCER_UNIT, traffic.balancer_units * HOURS)
    if properties["Scheme"] == "internet-facing":
        yield Line("public addresses of the balancer", prices.IPV4, len(properties["Subnets"]) * HOURS)
        yield Line("answers to the internet", prices.DATA_OUT, traffic.answered_gb)


def nat_lines(_: Mapping[str, Any], resources: Resources, traffic: Traffic) -> Iterator[Line]:
    gateways = len(resources.of_type("AWS::EC2::NatGateway"))
    yield Line("NAT gateways", prices.NAT, HOURS)
    yield Line("NAT gateways: data", prices.NAT_DATA, _leaving_gb(resources, traffic) / gateways)


def endpoint_lines(properties: Mapping[str, Any], resources: Resources, traffic: Traffic) -> Iterator[Line]:
    if properties.get("VpcEndpointType", "Gateway") == "Gateway":
        return  # the S3 and DynamoDB gateways are free
    yield Line("interface endpoints", prices.ENDPOINT, len(properties["SubnetIds"]) * HOURS)
    if "logs" in str(properties["ServiceName"]):
        written = traffic.line_gb(metrics=resources.embeds_metrics)
        yield Line("interface endpoints: data", prices.ENDPOINT_DATA, written)


def _leaving_gb(resources: Resources, traffic: Traffic) -> float:
    """Return what tasks send to and get from AWS: log lines, and comments unless a gateway carries those."""
    gateways = [str(each["ServiceName"]) for each in resources.of_type("AWS::EC2::VPCEndpoint")]
    comments = 0.0 if any("dynamodb" in name for name in gateways) else traffic.answered_gb
    return traffic.line_gb(metrics=resources.embeds_metrics) + comments
