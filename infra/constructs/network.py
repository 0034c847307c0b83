"""The network: a VPC over two zones, and how tasks get out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.base import ZONES, acknowledge, wildcard
from infra.options import Egress

HTTPS = ec2.Port.tcp(443)
_PUBLIC = ec2.SubnetConfiguration(
    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
)
_AWS = ec2.InterfaceVpcEndpointAwsService


@dataclass(frozen=True, kw_only=True)
class EgressPlan:
    """What a kind of egress decides about the network."""

    task_subnets: ec2.SubnetType
    assign_public_ip: bool = False
    nat_gateways: int = 0
    endpoints: Mapping[str, ec2.InterfaceVpcEndpointAwsService] = field(default_factory=dict)

    @property
    def subnets(self) -> list[ec2.SubnetConfiguration]:
        """The balancer's, and the tasks' own unless they stand beside it."""
        if self.task_subnets == ec2.SubnetType.PUBLIC:
            return [_PUBLIC]
        return [_PUBLIC, ec2.SubnetConfiguration(name="tasks", subnet_type=self.task_subnets, cidr_mask=24)]


EGRESS = {
    Egress.PUBLIC_IP: EgressPlan(task_subnets=ec2.SubnetType.PUBLIC, assign_public_ip=True),
    # A gateway in each zone, so that a zone's loss takes one.
    Egress.NAT: EgressPlan(task_subnets=ec2.SubnetType.PRIVATE_WITH_EGRESS, nat_gateways=ZONES),
    # Image layers come from S3, through its gateway; everything else from these four.
    Egress.ENDPOINTS: EgressPlan(
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
    """A VPC whose images and comments travel inside AWS: the S3 and DynamoDB gateways cost nothing."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        egress: EgressPlan,
        rejected_connections: logs.ILogGroup | None,
    ) -> None:
        """`rejected_connections` is where flow logs go, if the stage keeps them."""
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=ZONES,
            nat_gateways=egress.nat_gateways,
            subnet_configuration=egress.subnets,
            restrict_default_security_group=False,  # it takes a Lambda function; nothing here uses that group
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        self.task_subnets = ec2.SubnetSelection(subnet_type=egress.task_subnets)
        for name, service in egress.endpoints.items():
            endpoint = self.vpc.add_interface_endpoint(name, service=service, subnets=self.task_subnets)
            inside = "open to the VPC's own addresses only; the rule cannot see through their token"
            acknowledge(endpoint, {"AwsSolutions-EC23": inside})
        self.assign_public_ip = egress.assign_public_ip
        if rejected_connections is None:
            acknowledge(self.vpc, {"AwsSolutions-VPC7": "a preview lives for days; its flow logs would tell nobody"})
        else:
            flow_log = self.vpc.add_flow_log(
                "Rejected",
                destination=ec2.FlowLogDestination.to_cloud_watch_logs(rejected_connections),
                traffic_type=ec2.FlowLogTrafficType.REJECT,
            )
            streams = wildcard(self, rejected_connections.log_group_arn)
            acknowledge(flow_log, {streams: "the streams of one log group"})
