"""VPC in two zones, with the egress option of the tasks; or an existing VPC."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import acknowledge, wildcard_finding
from infra.model import Egress, Stage, Vpc

_AWS = ec2.InterfaceVpcEndpointAwsService
_ENDPOINTS = {
    "EcrApi": _AWS.ECR,
    "EcrDocker": _AWS.ECR_DOCKER,
    "Logs": _AWS.CLOUDWATCH_LOGS,
    "Secrets": _AWS.SECRETS_MANAGER,
}
"""Interface endpoints of Egress.ENDPOINTS. Image layers use the gateway endpoint of S3."""


class Network(Construct):
    """A VPC with gateway endpoints for S3 and DynamoDB, which are free and keep images and data inside AWS."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        """Create a VPC, or nothing if the stage has an existing one. For prices, see `Egress`."""
        super().__init__(scope, construct_id)
        self.assign_public_ip = stage.egress is Egress.PUBLIC_IP
        self.vpc: ec2.IVpc
        if stage.vpc:
            self._use(stage.vpc)
        else:
            self._create(stage)

    def _use(self, existing: Vpc) -> None:
        annotations = cdk.Annotations.of(self)
        annotations.acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "nothing here uses the route tables")
        self.vpc = ec2.Vpc.from_vpc_attributes(
            self, "Vpc", vpc_id=existing.vpc_id, availability_zones=list(existing.zones)
        )
        self.load_balancer_subnets, self.task_subnets = (
            ec2.SubnetSelection(
                subnets=[
                    ec2.Subnet.from_subnet_attributes(self, f"{name}{zone}", subnet_id=each, availability_zone=zone)
                    for each, zone in zip(ids, existing.zones, strict=True)
                ]
            )
            for name, ids in (("LoadBalancer", existing.load_balancer_subnets), ("Tasks", existing.task_subnets))
        )

    def _create(self, stage: Stage) -> None:
        kind, subnet = ec2.SubnetType, ec2.SubnetConfiguration
        # CDK adds a NAT gateway in each zone for the first kind, so losing a zone does not affect the other.
        tasks = kind.PRIVATE_WITH_EGRESS if stage.egress is Egress.NAT else kind.PRIVATE_ISOLATED
        # If a change of egress moved the CIDR block of the internal subnets, CloudFormation would fail: it creates new
        # subnets before it deletes those whose blocks they take. So blocks of subnets that aren't needed are reserved.
        subnets = [
            subnet(name="public", subnet_type=kind.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False),
            subnet(name="tasks", subnet_type=tasks, cidr_mask=24, reserved=self.assign_public_ip),
            # AWS: those of a VPC origin have no route to a gateway
            subnet(
                name="internal", subnet_type=kind.PRIVATE_ISOLATED, cidr_mask=24, reserved=not stage.behind_cloudfront
            ),
        ]
        self.task_subnets = ec2.SubnetSelection(subnet_group_name="public" if self.assign_public_ip else "tasks")
        balancing = "internal" if stage.behind_cloudfront else "public"
        self.load_balancer_subnets = ec2.SubnetSelection(subnet_group_name=balancing)
        vpc = self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(stage.cidr),
            subnet_configuration=subnets,
            restrict_default_security_group=False,  # that takes a Lambda function, and nothing uses the group
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        for name, service in _ENDPOINTS.items() if stage.egress is Egress.ENDPOINTS else ():
            endpoint = vpc.add_interface_endpoint(name, service=service, subnets=self.task_subnets)
            acknowledge(endpoint, {"EC23": "open only to the VPC's CIDR block, which the rule can't resolve"})
        if stage.flow_logs:
            log_group = logs.LogGroup.from_log_group_name(self, "FlowLogs", stage.flow_log_group)
            flow_log = vpc.add_flow_log(
                "Rejected",
                destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group),
                traffic_type=ec2.FlowLogTrafficType.REJECT,
            )
            acknowledge(flow_log, {wildcard_finding(self, log_group.log_group_arn): "the streams of one log group"})
        else:
            acknowledge(vpc, {"VPC7": "flow logs are disabled for this stage"})
