import json

import pytest

from infra.stages import STAGES
from tests.infra.synthesis import templates, the

BODY_RULES = {
    "SizeRestrictions_BODY",
    "EC2MetaDataSSRF_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "CrossSiteScripting_BODY",
}


def rules() -> dict[str, dict[str, object]]:
    return {rule["Name"]: rule for rule in the(templates("prod").service, "AWS::WAFv2::WebACL")["Rules"]}


def overrides(group: str) -> dict[str, dict[str, object]]:
    statement = rules()[group]["Statement"]["ManagedRuleGroupStatement"]  # type: ignore[index]  # JSON of a template
    return {each["Name"]: each["ActionToUse"] for each in statement["RuleActionOverrides"]}


def test_comments_may_be_long_and_contain_html() -> None:
    """AWS's common rules refuse bodies of more than 8 KB, and those with <script>: here they count."""
    actions = overrides("AWSManagedRulesCommonRuleSet")
    assert {name for name, action in actions.items() if action == {"Count": {}}} == BODY_RULES
    assert all("Block" in action for name, action in actions.items() if name not in BODY_RULES)


@pytest.mark.parametrize(
    "group",
    ["AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet", "AWSManagedRulesAmazonIpReputationList"],
)
def test_managed_rules_respond_in_the_error_format_of_the_service(group: str) -> None:
    blocks = [action["Block"] for action in overrides(group).values() if "Block" in action]
    assert blocks
    for block in blocks:
        assert block == {"CustomResponse": {"ResponseCode": 403, "CustomResponseBodyKey": "blocked"}}
    assert rules()[group]["OverrideAction"] == {"None": {}}


def test_posts_are_limited_by_the_connecting_address() -> None:
    """A forwarded header is the client's to write, so it must not choose whom to count for."""
    rule = rules()["post-rate"]
    limit = rule["Statement"]["RateBasedStatement"]  # type: ignore[index]  # JSON of a template
    assert (limit["AggregateKeyType"], limit["Limit"]) == ("IP", STAGES["prod"].post_limit)
    assert "ForwardedIPConfig" not in limit
    assert limit["ScopeDownStatement"]["ByteMatchStatement"]["SearchString"] == "POST"
    assert rule["Action"] == {"Block": {"CustomResponse": {"ResponseCode": 429, "CustomResponseBodyKey": "too-many"}}}


def test_blocked_requests_are_logged_without_the_moderators_token() -> None:
    logging = the(templates("prod").service, "AWS::WAFv2::LoggingConfiguration")
    assert logging["RedactedFields"] == [{"SingleHeader": {"Name": "authorization"}}]
    (destination,) = logging["LogDestinationConfigs"]
    assert json.dumps(destination).rstrip('"]}').endswith(":log-group:aws-waf-logs-comments-prod")


@pytest.mark.parametrize("stage", ["dev", "pr-2"])
def test_dev_and_previews_have_no_web_acl(stage: str) -> None:
    for kind in ("WebACL", "WebACLAssociation", "LoggingConfiguration"):
        templates(stage).service.resource_count_is(f"AWS::WAFv2::{kind}", 0)
