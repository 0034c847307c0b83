import json
from dataclasses import replace

import pytest

from infra.options import Domain
from infra.stages import STAGES
from tests.infra.synthesis import Templates, attributes, every, templates, templates_of, the

DOMAIN = Domain(name="comments.example.com", hosted_zone_id="Z0123456789EXAMPLE", zone_name="example.com")
BODY_RULES = {
    "SizeRestrictions_BODY",
    "EC2MetaDataSSRF_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "CrossSiteScripting_BODY",
}


def with_domain() -> Templates:
    return templates_of(replace(STAGES["dev"], domain=DOMAIN))


def test_without_a_domain_it_speaks_http() -> None:
    listener = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")


def test_with_a_domain_http_only_redirects() -> None:
    listeners = {each["Port"]: each for each in every(with_domain().service, "AWS::ElasticLoadBalancingV2::Listener")}
    (action,) = listeners[80]["DefaultActions"]
    assert action["Type"] == "redirect"
    assert (action["RedirectConfig"]["Protocol"], action["RedirectConfig"]["StatusCode"]) == ("HTTPS", "HTTP_301")


def test_with_a_domain_browsers_are_told_to_stay_with_tls() -> None:
    stack = with_domain().service
    listener = the(stack, "AWS::ElasticLoadBalancingV2::Listener", {"Port": 443})
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    header = attributes(listener, "ListenerAttributes")["routing.http.response.strict_transport_security.header_value"]
    assert header == "max-age=31536000"
    assert the(stack, "AWS::CertificateManager::Certificate")["DomainName"] == "comments.example.com"
    assert the(stack, "AWS::Route53::RecordSet")["Name"] == "comments.example.com."
    assert stack.find_outputs("BaseUrl")["BaseUrl"]["Value"] == "https://comments.example.com"


def test_every_request_leaves_an_access_log() -> None:
    balancer = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    set_ = attributes(balancer, "LoadBalancerAttributes")
    assert set_["access_logs.s3.enabled"] == "true"
    assert set_["access_logs.s3.prefix"] == "alb"
    assert "comments-dev-logs-" in str(set_["access_logs.s3.bucket"])
    assert set_["routing.http.drop_invalid_header_fields.enabled"] == "true"


def rules() -> dict[str, dict[str, object]]:
    return {rule["Name"]: rule for rule in the(templates("prod").service, "AWS::WAFv2::WebACL")["Rules"]}


def overrides(group: str) -> dict[str, dict[str, object]]:
    statement = rules()[group]["Statement"]["ManagedRuleGroupStatement"]  # type: ignore[index]  # JSON of a template
    return {each["Name"]: each["ActionToUse"] for each in statement["RuleActionOverrides"]}


def test_a_comment_may_be_long_and_speak_of_html() -> None:
    """AWS's common rules refuse bodies of more than 8 KB, and those with <script>: here they count."""
    actions = overrides("AWSManagedRulesCommonRuleSet")
    assert {name for name, action in actions.items() if action == {"Count": {}}} == BODY_RULES
    assert all("Block" in action for name, action in actions.items() if name not in BODY_RULES)


@pytest.mark.parametrize(
    "group",
    ["AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesAmazonIpReputationList"],
)
def test_a_managed_rule_answers_in_our_words(group: str) -> None:
    blocks = [action["Block"] for action in overrides(group).values() if "Block" in action]
    assert blocks
    for block in blocks:
        assert block == {"CustomResponse": {"ResponseCode": 403, "CustomResponseBodyKey": "refused"}}
    assert rules()[group]["OverrideAction"] == {"None": {}}


def test_posts_are_limited_by_the_connecting_address() -> None:
    """A forwarded header is the client's to write, so it must not choose whom to count for."""
    rule = rules()["post-rate"]
    limit = rule["Statement"]["RateBasedStatement"]  # type: ignore[index]  # JSON of a template
    assert (limit["AggregateKeyType"], limit["Limit"]) == ("IP", STAGES["prod"].post_limit)
    assert "ForwardedIPConfig" not in limit
    assert limit["ScopeDownStatement"]["ByteMatchStatement"]["SearchString"] == "POST"
    assert rule["Action"] == {"Block": {"CustomResponse": {"ResponseCode": 429, "CustomResponseBodyKey": "too-many"}}}


def test_what_the_web_acl_refuses_is_logged_without_the_moderators_token() -> None:
    logging = the(templates("prod").service, "AWS::WAFv2::LoggingConfiguration")
    assert logging["RedactedFields"] == [{"SingleHeader": {"Name": "authorization"}}]
    (destination,) = logging["LogDestinationConfigs"]
    assert json.dumps(destination).rstrip('"]}').endswith(":log-group:aws-waf-logs-comments-prod")


@pytest.mark.parametrize("stage", ["dev", "pr-2"])
def test_where_nobody_visits_there_is_no_web_acl(stage: str) -> None:
    for kind in ("WebACL", "WebACLAssociation", "LoggingConfiguration"):
        templates(stage).service.resource_count_is(f"AWS::WAFv2::{kind}", 0)


def test_the_certificate_is_validated_by_dns_with_nobody_asked() -> None:
    stack = with_domain().service
    certificate = the(stack, "AWS::CertificateManager::Certificate")
    assert certificate["ValidationMethod"] == "DNS"
    (option,) = certificate["DomainValidationOptions"]
    assert option == {"DomainName": DOMAIN.name, "HostedZoneId": DOMAIN.hosted_zone_id}
    (name,) = stack.find_resources("AWS::CertificateManager::Certificate")
    assert the(stack, "AWS::ElasticLoadBalancingV2::Listener", {"Port": 443})["Certificates"] == [
        {"CertificateArn": {"Ref": name}}
    ]


def test_stages_of_one_account_have_web_acl_metrics_of_their_own() -> None:
    names = [
        the(templates(stage).service, "AWS::WAFv2::WebACL")["VisibilityConfig"]["MetricName"]
        for stage in ("prod", "playground")
    ]
    assert names == ["comments-prod", "comments-playground"]
