from ipaddress import IPv4Network

import pytest

from infra.model import Egress, Entrance
from tests.infra.synthesis import (
    ACCOUNT,
    CLOUDFRONT,
    CLOUDFRONT_DOMAIN,
    CLOUDFRONT_ENDPOINTS,
    EXISTING_VPC,
    NAT,
    REGION,
    TLS,
    VPC,
    every,
    templates,
    the,
)


def test_two_zones_are_chosen_when_it_is_deployed_and_not_looked_up() -> None:
    service = templates(account=ACCOUNT, region=REGION).service
    zones = {str(subnet["AvailabilityZone"]) for subnet in every(service, "AWS::EC2::Subnet")}
    assert zones == {str({"Fn::Select": [index, {"Fn::GetAZs": ""}]}) for index in (0, 1)}


@pytest.mark.parametrize(
    ("stage", "routes", "interfaces"),
    [
        ("prod", 2, []),
        (TLS, 2, ["ecr.api", "ecr.dkr", "logs", "secretsmanager"]),  # only public subnets have a route
        (NAT, 4, []),
    ],
)
def test_each_egress_option_reaches_aws_its_own_way(stage: str, routes: int, interfaces: list[str]) -> None:
    """Tests of their prices count public addresses, NAT gateways and interface endpoints."""
    service = templates(stage).service
    service.resource_count_is("AWS::EC2::Route", routes)
    endpoints = [str(endpoint["ServiceName"]) for endpoint in every(service, "AWS::EC2::VPCEndpoint")]
    assert len(endpoints) == len(interfaces) + 2
    for name in (".dynamodb", ".s3", *interfaces):
        assert any(name in endpoint for endpoint in endpoints), name


@pytest.mark.parametrize("stage", ["prod", TLS, NAT, CLOUDFRONT, CLOUDFRONT_ENDPOINTS])
def test_tasks_start_when_they_can_reach_aws_and_stop_before_they_cannot(stage: str) -> None:
    """CloudFormation creates what a resource depends on before it, and deletes it after it."""
    service = templates(stage).service
    (resource,) = service.find_resources("AWS::ECS::Service").values()
    for kind in ("Route", "NatGateway", "VPCEndpoint", "VPCGatewayAttachment"):
        assert service.find_resources(f"AWS::EC2::{kind}").keys() <= set(resource["DependsOn"]), kind


def test_no_option_moves_the_cidr_block_of_a_subnet() -> None:
    """CloudFormation creates a subnet before it deletes another one with the same block, which fails."""
    blocks: dict[str, set[str]] = {}
    for egress in Egress:
        for entrance in Entrance:
            found = templates("prod", egress=egress, entrance=entrance).service.find_resources("AWS::EC2::Subnet")
            for name, subnet in found.items():
                blocks.setdefault(name, set()).add(subnet["Properties"]["CidrBlock"])
    assert len(blocks) == 6
    assert all(len(used) == 1 for used in blocks.values())


def test_only_the_load_balancer_may_connect_to_a_task_which_connects_only_to_https() -> None:
    service = templates("dev").service
    groups = service.find_resources("AWS::EC2::SecurityGroup")
    (tasks,) = (name for name, group in groups.items() if group["Properties"]["GroupDescription"].startswith("Tasks"))
    (balancer,) = groups.keys() - {tasks}
    (egress,) = groups[tasks]["Properties"]["SecurityGroupEgress"]
    assert (egress["FromPort"], egress["ToPort"], egress["IpProtocol"]) == (443, 443, "tcp")
    assert "SecurityGroupIngress" not in groups[tasks]["Properties"]
    (rule,) = (rule for rule in every(service, "AWS::EC2::SecurityGroupIngress") if tasks in str(rule["GroupId"]))
    assert (rule["FromPort"], rule["ToPort"]) == (5000, 5000)
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": [balancer, "GroupId"]}


def test_the_smallest_block_has_room_for_the_subnets_of_every_option() -> None:
    service = templates(CLOUDFRONT_DOMAIN, egress=Egress.NAT).service
    assert the(service, "AWS::EC2::VPC")["CidrBlock"] == "172.20.0.0/21"
    blocks = {IPv4Network(subnet["CidrBlock"]) for subnet in every(service, "AWS::EC2::Subnet")}
    assert len(blocks) == 6
    assert all(IPv4Network("172.20.0.0/21").supernet_of(block) for block in blocks)


@pytest.mark.parametrize("egress", Egress)
def test_in_an_existing_vpc_a_stage_creates_only_security_groups(egress: Egress) -> None:
    service = templates(EXISTING_VPC, egress=egress).service
    resources = service.to_json()["Resources"].values()
    network = [each for each in resources if each["Type"].startswith("AWS::EC2::")]
    assert {each["Type"] for each in network} <= {
        f"AWS::EC2::SecurityGroup{rule}" for rule in ("", "Ingress", "Egress")
    }
    groups = [each["Properties"] for each in network if each["Type"] == "AWS::EC2::SecurityGroup"]
    targets = every(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert {each["VpcId"] for each in (*groups, *targets)} == {VPC.vpc_id}
    balancer = the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert tuple(balancer["Subnets"]) == VPC.load_balancer_subnets
    tasks = the(service, "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert tuple(tasks["Subnets"]) == VPC.task_subnets
    assert tasks["AssignPublicIp"] == ("ENABLED" if egress is Egress.PUBLIC_IP else "DISABLED")
