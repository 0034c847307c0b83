from aws_cdk.assertions import Match

from infra.stages import Egress
from tests.infra.synthesis import Templates, every, templates, the, variant


def assigns_public_ip(stack: Templates) -> str:
    network = the(stack.service, "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    return str(network["AssignPublicIp"])


def test_two_zones_are_chosen_when_it_is_deployed() -> None:
    zones = {str(subnet["AvailabilityZone"]) for subnet in every(templates("dev").service, "AWS::EC2::Subnet")}
    assert zones == {str({"Fn::Select": [index, {"Fn::GetAZs": ""}]}) for index in (0, 1)}


def test_comments_and_image_layers_travel_inside_aws() -> None:
    services = [str(point["ServiceName"]) for point in every(templates("dev").service, "AWS::EC2::VPCEndpoint")]
    assert len(services) == 2
    assert any(".dynamodb" in name for name in services)
    assert any(".s3" in name for name in services)


def test_by_default_a_task_has_a_public_address_and_there_is_no_gateway() -> None:
    stack = variant(egress=Egress.PUBLIC_IP)
    assert assigns_public_ip(stack) == "ENABLED"
    stack.service.resource_count_is("AWS::EC2::NatGateway", 0)


def test_behind_endpoints_a_task_has_no_route_to_the_internet() -> None:
    stack = variant(egress=Egress.ENDPOINTS)
    assert assigns_public_ip(stack) == "DISABLED"
    stack.service.resource_count_is("AWS::EC2::NatGateway", 0)
    interfaces = [
        str(point["ServiceName"])
        for point in every(stack.service, "AWS::EC2::VPCEndpoint")
        if point["VpcEndpointType"] == "Interface"
    ]
    for service in ("ecr.api", "ecr.dkr", "logs", "secretsmanager"):
        assert any(service in name for name in interfaces), service
    assert len(every(stack.service, "AWS::EC2::Route")) == 2  # the load balancer's two subnets


def test_behind_nat_each_zone_has_its_own_gateway() -> None:
    stack = variant(egress=Egress.NAT)
    assert assigns_public_ip(stack) == "DISABLED"
    stack.service.resource_count_is("AWS::EC2::NatGateway", 2)


def test_only_the_load_balancer_may_connect_to_a_task() -> None:
    service = templates("dev").service
    groups = service.find_resources("AWS::EC2::SecurityGroup")
    (tasks,) = (name for name, group in groups.items() if "Tasks" in group["Properties"]["GroupDescription"])
    (balancer,) = (name for name in groups if name != tasks)
    assert "SecurityGroupIngress" not in groups[tasks]["Properties"]
    (rule,) = (rule for rule in every(service, "AWS::EC2::SecurityGroupIngress") if tasks in str(rule["GroupId"]))
    assert (rule["FromPort"], rule["ToPort"]) == (8000, 8000)
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": [balancer, "GroupId"]}


def test_a_task_connects_only_to_https() -> None:
    templates("dev").service.has_resource_properties(
        "AWS::EC2::SecurityGroup",
        {
            "GroupDescription": Match.string_like_regexp("Tasks"),
            "SecurityGroupEgress": [Match.object_like({"FromPort": 443, "ToPort": 443, "IpProtocol": "tcp"})],
        },
    )


def test_rejected_connections_are_logged_except_in_a_preview() -> None:
    assert the(templates("dev").service, "AWS::EC2::FlowLog")["TrafficType"] == "REJECT"
    templates("pr-1").service.resource_count_is("AWS::EC2::FlowLog", 0)
