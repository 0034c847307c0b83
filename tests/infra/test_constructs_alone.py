"""Each construct in a stack of somebody else's: nothing of this project around it, no stage of it deployed."""

from pathlib import Path

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Template

from infra.checks import found_in
from infra.constructs.alarms import Alarms
from infra.constructs.edge import Edge
from infra.constructs.fargate import ApiService
from infra.constructs.network import EGRESS, Network
from infra.constructs.observability import Dashboard, SavedQueries
from infra.constructs.rollout import ROLLOUTS
from infra.constructs.web_acl import WebAcl
from infra.options import Egress, Rollout
from infra.stages import Stage
from tests.infra.synthesis import container, the

SHOP = Stage(name="shop", min_tasks=2, max_tasks=3)


@pytest.fixture
def stack() -> cdk.Stack:
    return cdk.Stack(cdk.App(), "Shop")


def vpc(stack: cdk.Stack) -> ec2.Vpc:
    return ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0)


def service(stack: cdk.Stack, rollout: Rollout = Rollout.ROLLING) -> ApiService:
    return ApiService(
        stack,
        "Api",
        stage=SHOP,
        network=Network(stack, "Network", egress=EGRESS[Egress.PUBLIC_IP], rejected_connections=None),
        image=ecs.ContainerImage.from_registry("shop/api"),
        environment={"GREETING": "hello"},
        secrets={},
        log_group=logs.LogGroup(stack, "Logs"),
        rollout=ROLLOUTS[rollout],
    )


@pytest.mark.parametrize("egress", Egress)
def test_a_network(stack: cdk.Stack, egress: Egress) -> None:
    network = Network(stack, "Network", egress=EGRESS[egress], rejected_connections=logs.LogGroup(stack, "Flow"))
    ec2.SecurityGroup(stack, "Mine", vpc=network.vpc)
    Template.from_stack(stack).resource_count_is("AWS::EC2::FlowLog", 1)


def test_a_network_with_flow_logs_has_no_finding_of_cdk_nag(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    stack = cdk.Stack(app, "Shop")
    Network(stack, "Network", egress=EGRESS[Egress.NAT], rejected_connections=logs.LogGroup(stack, "Flow"))
    assert found_in(app, tmp_path) == []


def test_an_entrance_to_targets_of_ones_own(stack: cdk.Stack) -> None:
    edge = Edge(
        stack, "Edge", vpc=vpc(stack), domain=None, protect=False, log_bucket_name="shop-logs", log_prefix="alb"
    )
    edge.listener.add_action("Sold", action=elbv2.ListenerAction.fixed_response(200, message_body="sold out"))
    listener = the(Template.from_stack(stack), "AWS::ElasticLoadBalancingV2::Listener")
    assert listener["DefaultActions"][0]["Type"] == "fixed-response"


@pytest.mark.parametrize("rollout", Rollout)
def test_a_service_behind_ones_own_balancer(stack: cdk.Stack, rollout: Rollout) -> None:
    api = service(stack, rollout)
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=api.cluster.vpc)
    listener = balancer.add_listener("Http", port=80)
    groups = ROLLOUTS[rollout].connect(listener, api.service, container="api", port=8000)
    api.scale(stage=SHOP, target_groups=groups)
    template = Template.from_stack(stack)
    assert container(template)["Environment"] == [{"Name": "GREETING", "Value": "hello"}]
    assert the(template, "AWS::ECS::Service")["DeploymentConfiguration"]["Strategy"] == rollout.name


def test_a_web_acl_before_ones_own_balancer(stack: cdk.Stack) -> None:
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc(stack))
    log_group = logs.LogGroup(stack, "Waf", log_group_name="aws-waf-logs-shop")
    WebAcl(
        stack,
        "Acl",
        metric="shop",
        resource_arn=balancer.load_balancer_arn,
        post_limit=100,
        log_group_arn=log_group.log_group_arn,
    )
    Template.from_stack(stack).resource_count_is("AWS::WAFv2::WebACLAssociation", 1)


def test_alarms_dashboard_and_queries_of_ones_own_service(stack: cdk.Stack) -> None:
    api = service(stack)
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=api.cluster.vpc)
    groups = ROLLOUTS[Rollout.ROLLING].connect(
        balancer.add_listener("Http", port=80), api.service, container="api", port=8000
    )
    alarms = Alarms(stack, "Alarms", stage=SHOP)
    api.service.node.add_dependency(*alarms.guard_deployments(balancer))
    alarms.watch_service(load_balancer=balancer, target_groups=groups, service=api.service)
    alarms.watch_deployments()
    Dashboard(
        stack,
        "Dashboard",
        name="shop",
        alarms=alarms,
        load_balancer=balancer,
        target_groups=groups,
        service=api.service,
        min_tasks=SHOP.min_tasks,
        table=None,
        route_namespace=None,
        web_acl_metric=None,
    )
    SavedQueries(stack, "Queries", folder="shop", log_group_name="/shop")
    template = Template.from_stack(stack)
    template.resource_count_is("AWS::CloudWatch::Alarm", 8)
    template.resource_count_is("AWS::CloudWatch::Dashboard", 1)


def test_the_lines_in_the_docs_work() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "constructs.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 10
    app = cdk.App()
    exec(code, {**globals(), "app": app})
    stack = app.node.find_child("Shop")
    assert isinstance(stack, cdk.Stack)
    Template.from_stack(stack).resource_count_is("AWS::WAFv2::WebACL", 1)
