"""A stage behind CloudFront: HTTPS without a domain, and nobody reaches the load balancer another way."""

import json
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from infra.constructs.cloudfront import LISTS, VIEWER_ADDRESS_HEADER
from infra.stages import STAGES, Egress, Entrance
from tests.infra.synthesis import container, environment, every, the, variant
from tests.machine import needs

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
"""IDs of AWS's managed policies."""


def behind(egress: Egress = Egress.PUBLIC_IP) -> Any:
    return variant("prod", entrance=Entrance.CLOUDFRONT, egress=egress).service


def distribution() -> dict[str, Any]:
    config: dict[str, Any] = the(behind(), "AWS::CloudFront::Distribution")["DistributionConfig"]
    return config


def list_behavior() -> dict[str, Any]:
    (behavior,) = distribution()["CacheBehaviors"]
    assert behavior["PathPattern"] == LISTS
    found: dict[str, Any] = behavior
    return found


def test_the_load_balancer_is_internal_only_behind_cloudfront_and_the_service_trusts_both_proxies() -> None:
    """X-Forwarded-For: what the visitor sent, then the visitor's address, then CloudFront's."""
    for service, scheme, proxies in ((variant("prod").service, "internet-facing", "1"), (behind(), "internal", "2")):
        assert the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == scheme
        assert environment(service)["COMMENTS_TRUSTED_PROXIES"] == proxies
    variant("prod").service.resource_count_is("AWS::CloudFront::Distribution", 0)


def test_the_base_url_is_that_of_the_distribution() -> None:
    (name,) = behind().find_resources("AWS::CloudFront::Distribution")
    value = behind().find_outputs("BaseUrl")["BaseUrl"]["Value"]
    assert value == {"Fn::Join": ["", ["https://", {"Fn::GetAtt": [name, "DomainName"]}]]}


def test_a_stage_with_https_gets_the_moderator_token_and_passes_the_check_of_prod() -> None:
    assert [secret["Name"] for secret in container(behind())["Secrets"]] == ["COMMENTS_MODERATOR_TOKEN"]
    stage = replace(STAGES["prod"], entrance=Entrance.CLOUDFRONT, alarm_email="ops@example.com")
    assert stage.missing_for_production() == []


def test_the_load_balancer_accepts_connections_from_its_vpc_only() -> None:
    service = behind()
    balancer = the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    (group,) = balancer["SecurityGroups"]
    (rule,) = service.to_json()["Resources"][group["Fn::GetAtt"][0]]["Properties"]["SecurityGroupIngress"]
    assert rule["CidrIp"] == the(service, "AWS::EC2::VPC")["CidrBlock"]
    assert (rule["FromPort"], rule["ToPort"]) == (80, 80)


@pytest.mark.parametrize("egress", Egress)
def test_its_subnets_have_no_route_out_but_the_vpc_has_the_gateway_that_cloudfront_asks_for(egress: Egress) -> None:
    service = behind(egress)
    subnets = {each["Ref"] for each in the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")["Subnets"]}
    tables = {
        str(each["RouteTableId"])
        for each in every(service, "AWS::EC2::SubnetRouteTableAssociation")
        if each["SubnetId"]["Ref"] in subnets
    }
    assert len(subnets) == len(tables) == 2
    assert not [route for route in every(service, "AWS::EC2::Route") if str(route["RouteTableId"]) in tables]
    service.resource_count_is("AWS::EC2::VPCGatewayAttachment", 1)
    (origin,) = service.find_resources("AWS::CloudFront::VpcOrigin").values()
    routes = service.find_resources("AWS::EC2::Route")
    waits_for = [routes[name]["Properties"] for name in origin["DependsOn"] if name in routes]
    assert len(waits_for) == 2
    assert all("GatewayId" in route for route in waits_for)


def test_tasks_stay_in_their_own_subnets() -> None:
    for egress in Egress:
        services = [the(each, "AWS::ECS::Service") for each in (behind(egress), variant("prod", egress=egress).service)]
        assert services[0]["NetworkConfiguration"] == services[1]["NetworkConfiguration"]


def test_the_vpc_origin_has_no_tag_because_it_cannot_be_updated_while_attached() -> None:
    origin = the(behind(), "AWS::CloudFront::VpcOrigin")
    assert "Tags" not in origin
    assert origin["VpcOriginEndpointConfig"]["OriginProtocolPolicy"] == "http-only"
    (target,) = distribution()["Origins"]
    assert target["VpcOriginConfig"]["VpcOriginId"]["Fn::GetAtt"][1] == "Id"


def test_switching_the_entrance_makes_a_new_load_balancer_and_a_new_target_group() -> None:
    """A target group belongs to one load balancer, so one that stayed would make CloudFormation fail."""
    for kind in ("LoadBalancer", "Listener", "TargetGroup"):
        names = [
            set(service.find_resources(f"AWS::ElasticLoadBalancingV2::{kind}"))
            for service in (behind(), variant("prod").service)
        ]
        assert not names[0] & names[1]


def test_everything_but_lists_is_never_cached() -> None:
    behavior = distribution()["DefaultCacheBehavior"]
    assert behavior["CachePolicyId"] == CACHING_DISABLED
    assert {"POST", "DELETE"} <= set(behavior["AllowedMethods"])


def test_a_list_is_cached_for_one_second_at_most_by_query_and_by_origin() -> None:
    policy = the(behind(), "AWS::CloudFront::CachePolicy")["CachePolicyConfig"]
    assert (policy["MinTTL"], policy["DefaultTTL"], policy["MaxTTL"]) == (0, 0, 1)
    key = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
    assert key["HeadersConfig"] == {"HeaderBehavior": "whitelist", "Headers": ["Origin"]}
    (name,) = behind().find_resources("AWS::CloudFront::CachePolicy")
    assert list_behavior()["CachePolicyId"] == {"Ref": name}


def test_no_error_is_cached() -> None:
    responses = distribution()["CustomErrorResponses"]
    assert {each["ErrorCachingMinTTL"] for each in responses} == {0}
    assert {404, 500, 502, 503, 504} <= {each["ErrorCode"] for each in responses}


def test_visitors_are_redirected_to_https_and_the_service_gets_what_they_sent() -> None:
    for behavior in (distribution()["DefaultCacheBehavior"], list_behavior()):
        assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behavior["OriginRequestPolicyId"] == ALL_VIEWER
    headers = the(behind(), "AWS::CloudFront::ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    hsts = headers["SecurityHeadersConfig"]["StrictTransportSecurity"]
    assert hsts == {"AccessControlMaxAgeSec": 31536000, "IncludeSubdomains": False, "Override": True}


def test_the_web_acl_counts_by_the_header_that_the_edge_sets_on_every_request() -> None:
    (name,) = behind().find_resources("AWS::CloudFront::Function")
    for behavior in (distribution()["DefaultCacheBehavior"], list_behavior()):
        (association,) = behavior["FunctionAssociations"]
        assert association["EventType"] == "viewer-request"
        assert association["FunctionARN"] == {"Fn::GetAtt": [name, "FunctionARN"]}
    rules = {rule["Name"]: rule for rule in the(behind(), "AWS::WAFv2::WebACL")["Rules"]}
    limit = rules["post-rate"]["Statement"]["RateBasedStatement"]
    assert limit["AggregateKeyType"] == "FORWARDED_IP"
    assert limit["ForwardedIPConfig"] == {"HeaderName": VIEWER_ADDRESS_HEADER, "FallbackBehavior": "MATCH"}


def test_a_rule_that_only_sees_the_connecting_address_is_left_out() -> None:
    rules = {rule["Name"] for rule in the(behind(), "AWS::WAFv2::WebACL")["Rules"]}
    everywhere = {rule["Name"] for rule in the(variant("prod").service, "AWS::WAFv2::WebACL")["Rules"]}
    assert everywhere - rules == {"AWSManagedRulesAmazonIpReputationList"}


def test_a_forged_header_is_overwritten_at_the_edge() -> None:
    needs(shutil.which("node"), "no Node")
    code = the(behind(), "AWS::CloudFront::Function")["FunctionCode"]
    headers = {VIEWER_ADDRESS_HEADER: {"value": "203.0.113.9"}, "accept": {"value": "*/*"}}
    event = {"viewer": {"ip": "198.51.100.7"}, "request": {"headers": headers}}
    script = f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"
    ran = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["headers"] == {**headers, VIEWER_ADDRESS_HEADER: {"value": "198.51.100.7"}}
