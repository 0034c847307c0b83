"""A stage behind CloudFront: HTTPS with and without a domain, and nobody reaches the load balancer another way."""

import json
import shutil
import subprocess
from dataclasses import replace

import pytest
from aws_cdk.assertions import Match, Template

from infra.constructs.cloudfront import VIEWER_ADDRESS_HEADER
from infra.model import Domain
from tests.infra.synthesis import (
    ACCOUNT,
    CERTIFICATE,
    CHECKED,
    CLOUDFRONT,
    CLOUDFRONT_DOMAIN,
    CLOUDFRONT_ENDPOINTS,
    DOMAIN,
    EMAIL,
    container,
    environment,
    every,
    templates,
    the,
)
from tests.machine import needs

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"
"""IDs of AWS's managed policies."""
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def service() -> Template:
    return templates(CLOUDFRONT).service


def reference(kind: str) -> dict[str, str]:
    (name,) = service().find_resources(f"AWS::CloudFront::{kind}")
    return {"Ref": name}


def test_it_has_https_without_a_domain_and_the_service_trusts_both_proxies() -> None:
    """X-Forwarded-For: what the visitor sent, then the visitor's address, then CloudFront's."""
    name = {"Fn::GetAtt": [reference("Distribution")["Ref"], "DomainName"]}
    assert service().find_outputs("BaseUrl")["BaseUrl"]["Value"] == {"Fn::Join": ["", ["https://", name]]}
    assert environment(service())["NOTES_PROXIES"] == "2"
    assert [secret["Name"] for secret in container(service())["Secrets"]] == ["NOTES_KEY"]
    ready = replace(CHECKED[CLOUDFRONT], alarm_email=EMAIL, account=ACCOUNT)
    assert ready.missing_for_production() == []


@pytest.mark.parametrize("zone", [True, False])
def test_with_a_domain_it_serves_that_name_over_both_versions_of_ip(zone: bool) -> None:
    name = "notes.example.com"
    domain = DOMAIN if zone else Domain(name=name)
    with_domain = templates(CLOUDFRONT_DOMAIN, domain=replace(domain, certificate_arn=CERTIFICATE)).service
    distribution = the(with_domain, "AWS::CloudFront::Distribution")["DistributionConfig"]
    assert distribution["Aliases"] == [name]
    assert distribution["IPV6Enabled"] is True
    certificate = distribution["ViewerCertificate"]
    assert certificate["AcmCertificateArn"] == CERTIFICATE
    assert certificate["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert with_domain.find_outputs("BaseUrl")["BaseUrl"]["Value"] == f"https://{name}"
    records = every(with_domain, "AWS::Route53::RecordSet")
    assert [each["Type"] for each in records] == (["A", "AAAA"] if zone else [])
    assert bool(with_domain.find_outputs("DnsRecord")) == (not zone)
    with_domain.resource_count_is("AWS::CertificateManager::Certificate", 0)
    (listener,) = every(with_domain, "AWS::ElasticLoadBalancingV2::Listener")
    assert listener["Port"] == 80, "CloudFront connects over HTTP, within the VPC"


def test_a_domain_changes_nothing_but_the_distribution_and_its_records() -> None:
    """A stage can get one later."""
    before, after = (
        templates(CLOUDFRONT_DOMAIN, domain=domain).service.to_json()["Resources"]
        for domain in (None, replace(DOMAIN, certificate_arn=CERTIFICATE))
    )
    changed = {name for name in after if after[name] != before.get(name)}
    kinds = {after[name]["Type"] for name in changed}
    assert kinds == {"AWS::CloudFront::Distribution", "AWS::Route53::RecordSet"}
    assert not before.keys() - after.keys()


@pytest.mark.parametrize("stage", [CLOUDFRONT, CLOUDFRONT_ENDPOINTS])
def test_only_cloudfront_and_the_vpc_have_a_route_to_the_load_balancer(stage: str) -> None:
    service = templates(stage).service
    balancer = the(service, BALANCER)
    assert balancer["Scheme"] == "internal"
    assert the(templates("prod").service, BALANCER)["Scheme"] == "internet-facing"
    subnets = {each["Ref"] for each in balancer["Subnets"]}
    tasks = the(service, "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]
    assert not subnets & {each["Ref"] for each in tasks}
    tables = {
        str(each["RouteTableId"])
        for each in every(service, "AWS::EC2::SubnetRouteTableAssociation")
        if each["SubnetId"]["Ref"] in subnets
    }
    assert len(subnets) == len(tables) == 2
    assert not [route for route in every(service, "AWS::EC2::Route") if str(route["RouteTableId"]) in tables]
    (group,) = balancer["SecurityGroups"]
    (rule,) = service.to_json()["Resources"][group["Fn::GetAtt"][0]]["Properties"]["SecurityGroupIngress"]
    assert (rule["CidrIp"], rule["ToPort"]) == ("0.0.0.0/0", 80), "CloudFront has public addresses"


def test_the_vpc_origin_uses_http_after_a_gateway_exists_and_has_no_tag() -> None:
    """AWS: it needs the gateway, and can't be updated while a distribution uses it, not even its tags."""
    (origin,) = service().find_resources("AWS::CloudFront::VpcOrigin").values()
    assert "Tags" not in origin["Properties"]
    assert origin["Properties"]["VpcOriginEndpointConfig"]["OriginProtocolPolicy"] == "http-only"
    gateway = service().find_resources("AWS::EC2::Route", {"Properties": {"GatewayId": Match.any_value()}})
    assert len(gateway.keys() & set(origin["DependsOn"])) == 2


def test_switching_the_entrance_makes_a_new_load_balancer_and_a_new_target_group() -> None:
    """A target group belongs to one load balancer, so one that stayed would make CloudFormation fail."""
    for kind in ("LoadBalancer", "Listener", "TargetGroup"):
        public = templates("prod").service.find_resources(f"AWS::ElasticLoadBalancingV2::{kind}")
        assert not public.keys() & service().find_resources(f"AWS::ElasticLoadBalancingV2::{kind}").keys()


def test_the_service_gets_every_request_as_it_was_sent_over_https_and_nothing_is_cached() -> None:
    distribution = the(service(), "AWS::CloudFront::Distribution")["DistributionConfig"]
    assert "CacheBehaviors" not in distribution
    behavior = distribution["DefaultCacheBehavior"]
    assert {"POST", "DELETE"} <= set(behavior["AllowedMethods"])
    function = {"Fn::GetAtt": [reference("Function")["Ref"], "FunctionARN"]}
    settings = {
        "CachePolicyId": CACHING_DISABLED,
        "ViewerProtocolPolicy": "redirect-to-https",
        "OriginRequestPolicyId": ALL_VIEWER,
        "ResponseHeadersPolicyId": SECURITY_HEADERS,
        "FunctionAssociations": [{"EventType": "viewer-request", "FunctionARN": function}],
    }
    assert behavior.items() >= settings.items()
    errors = {each["ErrorCode"]: each["ErrorCachingMinTTL"] for each in distribution["CustomErrorResponses"]}
    assert set(errors.values()) == {0}
    assert {404, 500, 502, 503, 504} <= errors.keys()


def test_the_web_acl_counts_by_the_header_that_the_edge_sets_on_every_request() -> None:
    rules, public = (
        {rule["Name"]: rule for rule in the(template, "AWS::WAFv2::WebACL")["Rules"]}
        for template in (service(), templates("prod").service)
    )
    limit = rules["post-rate"]["Statement"]["RateBasedStatement"]
    assert limit["AggregateKeyType"] == "FORWARDED_IP"
    assert limit["ForwardedIPConfig"] == {"HeaderName": VIEWER_ADDRESS_HEADER, "FallbackBehavior": "MATCH"}
    assert public.keys() - rules.keys() == {"AWSManagedRulesAmazonIpReputationList"}, "it sees the connecting address"


def test_a_forged_header_is_overwritten_at_the_edge() -> None:
    needs(shutil.which("node"), "no Node")
    code = the(service(), "AWS::CloudFront::Function")["FunctionCode"]
    headers = {VIEWER_ADDRESS_HEADER: {"value": "203.0.113.9"}, "accept": {"value": "*/*"}}
    event = {"viewer": {"ip": "198.51.100.7"}, "request": {"headers": headers}}
    script = f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"
    ran = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["headers"] == {**headers, VIEWER_ADDRESS_HEADER: {"value": "198.51.100.7"}}
