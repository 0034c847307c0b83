"""VPC in two zones, with the egress option of the tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import acknowledge, wildcard_finding
from infra.stages import Egress

CIDR = "10.0.0.0/16"
HTTPS = ec2.Port.tcp(443)
_PUBLIC = ec2.SubnetConfiguration(
    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
)
_INTERNAL = ec2.SubnetConfiguration(name="internal", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24)
"""Subnets of an internal load balancer. AWS: a VPC origin's subnets must have no route to an internet gateway."""
_AWS = ec2.InterfaceVpcEndpointAwsService


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Network settings of an egress option."""

    task_subnets: ec2.SubnetType
    assign_public_ip: bool = False
    nat: bool = False
    endpoints: Mapping[str, ec2.InterfaceVpcEndpointAwsService] = field(default_factory=dict)

    @property
    def subnets(self) -> list[ec2.SubnetConfiguration]:
        """The public subnets, and separate ones for tasks unless tasks use the public ones."""
        if self.task_subnets == ec2.SubnetType.PUBLIC:
            return [_PUBLIC]
        return [_PUBLIC, ec2.SubnetConfiguration(name="tasks", subnet_type=self.task_subnets, cidr_mask=24)]

    @property
    def task_subnet_name(self) -> str:
        return self.subnets[-1].name


_PLANS = {
    Egress.PUBLIC_IP: _Plan(task_subnets=ec2.SubnetType.PUBLIC, assign_public_ip=True),
    Egress.NAT: _Plan(task_subnets=ec2.SubnetType.PRIVATE_WITH_EGRESS, nat=True),
    # Image layers use the gateway endpoint of S3, everything else uses these four.
    Egress.ENDPOINTS: _Plan(
        task_subnets=ec2.SubnetType.PRIVATE_ISOLATED,
        endpoints={
            "EcrApi": _AWS.ECR,
            "EcrDocker": _AWS.ECR_DOCKER,
            "Logs": _AWS.CLOUDWATCH_LOGS,
            "Secrets": _AWS.SECRETS_MANAGER,
        },
    ),
}


class Network(Construct):
    """A VPC with gateway endpoints for S3 and DynamoDB, which are free and keep images and comments inside AWS."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        egress: Egress,
        zones: int,
        internal: bool,
        flow_logs: logs.ILogGroup | None,
    ) -> None:
        """`internal` adds subnets for an internal load balancer, so that only CloudFront reaches it.

        `flow_logs` receives rejected connections; None disables flow logs. For prices, see `Egress`.
        """
        super().__init__(scope, construct_id)
        plan = _PLANS[egress]
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(CIDR),
            max_azs=zones,
            nat_gateways=zones if plan.nat else 0,  # one in each zone, so that losing a zone does not affect the other
            subnet_configuration=[
                *plan.subnets,
                *([_INTERNAL] if internal else []),
            ],  # last, so that the others keep their CIDR blocks
            restrict_default_security_group=False,  # that takes a Lambda function, and nothing uses the group
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        self.task_subnets = ec2.SubnetSelection(subnet_group_name=plan.task_subnet_name)
        self.load_balancer_subnets = ec2.SubnetSelection(subnet_group_name=(_INTERNAL if internal else _PUBLIC).name)
        self.assign_public_ip = plan.assign_public_ip
        for name, service in plan.endpoints.items():
            endpoint = self.vpc.add_interface_endpoint(name, service=service, subnets=self.task_subnets)
            acknowledge(
                endpoint, {"AwsSolutions-EC23": "open only to the VPC's CIDR block, which the rule can't resolve"}
            )
        if flow_logs:
            self._log_rejected_connections(flow_logs)
        else:
            acknowledge(self.vpc, {"AwsSolutions-VPC7": "previews exist for days, and nobody reads their flow logs"})

    def _log_rejected_connections(self, log_group: logs.ILogGroup) -> None:
        flow_log = self.vpc.add_flow_log(
            "Rejected",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        acknowledge(flow_log, {wildcard_finding(self, log_group.log_group_arn): "the streams of one log group"})
