import json

from infra.config import STAGES
from tests.infra.synthesis import Resource, templates, the

READABLE = [{"Name": "access-control-allow-origin", "Value": "*"}]
"""A page that embeds the service can read the response."""


def rules() -> dict[str, Resource]:
    return {rule["Name"]: rule for rule in the(templates("prod").service, "AWS::WAFv2::WebACL")["Rules"]}


def test_attacks_get_the_error_format_of_the_service_but_posts_about_code_pass() -> None:
    """AWS's rules block bodies of more than 8 KB, and those with <script> or ${jndi:ldap://…}: here they count.

    So do queries of more than 2 KB, which blogs with long URLs send for the counts of 20 pages.
    """
    custom = {"ResponseCode": 403, "CustomResponseBodyKey": "blocked", "ResponseHeaders": READABLE}
    counted = set()
    for group in ("CommonRuleSet", "KnownBadInputsRuleSet", "AmazonIpReputationList"):
        rule = rules()[f"AWSManagedRules{group}"]
        assert rule["OverrideAction"] == {"None": {}}
        overrides = rule["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
        assert overrides
        for each in overrides:
            if each["ActionToUse"] != {"Block": {"CustomResponse": custom}}:
                assert each["ActionToUse"] == {"Count": {}}
                counted.add(each["Name"])
            else:
                assert not each["Name"].endswith("_BODY")
    bodies = "SizeRestrictions", "EC2MetaDataSSRF", "GenericLFI", "GenericRFI", "CrossSiteScripting"
    more = "JavaDeserializationRCE", "Log4JRCE", "ReactJSRCE"
    assert counted == {"SizeRestrictions_QUERYSTRING", *(f"{name}_BODY" for name in (*bodies, *more))}


def test_writes_are_limited_by_the_connecting_address() -> None:
    """A forwarded header is the client's to write, so it must not choose whom to count for."""
    rule = rules()["post-rate"]
    limit = rule["Statement"]["RateBasedStatement"]
    assert (limit["AggregateKeyType"], limit["Limit"]) == ("IP", STAGES["prod"].post_limit)
    assert "ForwardedIPConfig" not in limit
    methods, path = limit["ScopeDownStatement"]["AndStatement"]["Statements"]
    matches = [each["ByteMatchStatement"]["SearchString"] for each in methods["OrStatement"]["Statements"]]
    assert matches == ["POST", "PATCH", "PUT", "DELETE"]
    path = path["ByteMatchStatement"]
    assert (path["SearchString"], path["PositionalConstraint"]) == ("/", "STARTS_WITH")
    assert path["TextTransformations"] == [{"Priority": 0, "Type": "URL_DECODE"}], "servers decode paths"
    custom = {"ResponseCode": 429, "CustomResponseBodyKey": "too-many", "ResponseHeaders": READABLE}
    assert rule["Action"] == {"Block": {"CustomResponse": custom}}


def test_blocked_requests_are_logged_without_credentials() -> None:
    logging = the(templates("prod").service, "AWS::WAFv2::LoggingConfiguration")
    assert logging["RedactedFields"] == [{"SingleHeader": {"Name": "authorization"}}]
    (kept,) = logging["LoggingFilter"]["Filters"]
    # A request that only counts would be logged with a part of its body.
    assert kept["Conditions"] == [{"ActionCondition": {"Action": "BLOCK"}}]
    assert (kept["Behavior"], logging["LoggingFilter"]["DefaultBehavior"]) == ("KEEP", "DROP")
    (destination,) = logging["LogDestinationConfigs"]
    assert json.dumps(destination).rstrip('"]}').endswith(":log-group:aws-waf-logs-notes-prod")
