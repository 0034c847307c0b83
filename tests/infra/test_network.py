import pytest

from infra.model import Egress, Entrance
from tests.infra.synthesis import ACCOUNT, CLOUDFRONT, CLOUDFRONT_ENDPOINTS, NAT, REGION, TLS, every, templates


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
    assert (rule["FromPort"], rule["ToPort"]) == (8000, 8000)
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": [balancer, "GroupId"]}
