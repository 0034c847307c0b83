"""WAF web ACL: AWS managed rules and a rate limit, with responses in the service's error format."""

import json
from collections.abc import Iterable

from aws_cdk import aws_wafv2 as waf
from constructs import Construct

_RESPONSES = {
    "blocked": (403, "INVALID", "this request looks like an attack and was blocked"),
    "too-many": (429, "RATE-LIMITED", "too many posts from this address: wait five minutes"),
}
"""HTTP status, and `status` and `message` of the response body."""

_COMMON = (
    "NoUserAgent_HEADER",
    "UserAgent_BadBots_HEADER",
    "SizeRestrictions_QUERYSTRING",
    "SizeRestrictions_Cookie_HEADER",
    "SizeRestrictions_URIPATH",
    "EC2MetaDataSSRF_COOKIE",
    "EC2MetaDataSSRF_URIPATH",
    "EC2MetaDataSSRF_QUERYARGUMENTS",
    "GenericLFI_QUERYARGUMENTS",
    "GenericLFI_URIPATH",
    "RestrictedExtensions_URIPATH",
    "RestrictedExtensions_QUERYARGUMENTS",
    "GenericRFI_QUERYARGUMENTS",
    "GenericRFI_URIPATH",
    "CrossSiteScripting_COOKIE",
    "CrossSiteScripting_QUERYARGUMENTS",
    "CrossSiteScripting_URIPATH",
)
_COMMON_OF_BODIES = (
    "SizeRestrictions_BODY",
    "EC2MetaDataSSRF_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "CrossSiteScripting_BODY",
)
"""Counted but not blocked: a comment may be longer than 8 KB and may mention HTML or ../../etc/passwd."""
_BAD_INPUTS = (
    "JavaDeserializationRCE_HEADER",
    "JavaDeserializationRCE_BODY",
    "JavaDeserializationRCE_URIPATH",
    "JavaDeserializationRCE_QUERYSTRING",
    "Host_localhost_HEADER",
    "PROPFIND_METHOD",
    "ExploitablePaths_URIPATH",
    "Log4JRCE_HEADER",
    "Log4JRCE_QUERYSTRING",
    "Log4JRCE_BODY",
    "Log4JRCE_URIPATH",
)
_REPUTATION = ("AWSManagedIPReputationList", "AWSManagedReconnaissanceList")


class WebAcl(Construct):
    """Web ACL of a load balancer: $5 a month, $1 per rule and $0.60 per million requests."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        metric: str,
        resource_arn: str,
        post_limit: int,
        address_header: str | None = None,
        log_group_arn: str,
    ) -> None:
        """`metric` is its name in CloudWatch. `post_limit` is the number of POST requests per client in five minutes.

        `address_header` is the header that a trusted proxy sets to the client's address; None uses the connecting
        address. AWS: the log group's name must begin with aws-waf-logs-.
        """
        super().__init__(scope, construct_id)
        self.web_acl = waf.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility(metric),
            custom_response_bodies={
                key: waf.CfnWebACL.CustomResponseBodyProperty(
                    content_type="APPLICATION_JSON",
                    content=json.dumps({"status": status, "message": message}),
                )
                for key, (_, status, message) in _RESPONSES.items()
            },
            rules=[
                _post_rate(priority=0, limit=post_limit, address_header=address_header),
                # AWS: this group only checks the connecting address, which behind a proxy is not the client's.
                *(
                    []
                    if address_header
                    else [_managed("AWSManagedRulesAmazonIpReputationList", priority=1, block=_REPUTATION)]
                ),
                _managed("AWSManagedRulesKnownBadInputsRuleSet", priority=2, block=_BAD_INPUTS),
                _managed("AWSManagedRulesCommonRuleSet", priority=3, block=_COMMON, count=_COMMON_OF_BODIES),
            ],
        )
        waf.CfnWebACLAssociation(self, "Association", resource_arn=resource_arn, web_acl_arn=self.web_acl.attr_arn)
        waf.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.web_acl.attr_arn,
            log_destination_configs=[log_group_arn],
            # This header contains the moderator's token.
            redacted_fields=[waf.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": "authorization"})],
            logging_filter={
                "DefaultBehavior": "DROP",  # allowed requests are in the access log
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [
                            {"ActionCondition": {"Action": action}}
                            for action in ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")
                        ],
                    }
                ],
            },
        )


def _visibility(metric: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=True
    )


def _block(response: str) -> waf.CfnWebACL.RuleActionProperty:
    status, *_ = _RESPONSES[response]
    return waf.CfnWebACL.RuleActionProperty(
        block=waf.CfnWebACL.BlockActionProperty(
            custom_response=waf.CfnWebACL.CustomResponseProperty(
                response_code=status, custom_response_body_key=response
            )
        )
    )


def _post_rate(*, priority: int, limit: int, address_header: str | None) -> waf.CfnWebACL.RuleProperty:
    posts = waf.CfnWebACL.StatementProperty(
        byte_match_statement=waf.CfnWebACL.ByteMatchStatementProperty(
            field_to_match=waf.CfnWebACL.FieldToMatchProperty(method={}),
            positional_constraint="EXACTLY",
            search_string="POST",
            text_transformations=[waf.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
        )
    )
    return waf.CfnWebACL.RuleProperty(
        name="post-rate",
        priority=priority,
        action=_block("too-many"),
        visibility_config=_visibility("post-rate"),
        statement=waf.CfnWebACL.StatementProperty(
            rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(
                limit=limit,
                aggregate_key_type="FORWARDED_IP" if address_header else "IP",
                forwarded_ip_config=(
                    waf.CfnWebACL.ForwardedIPConfigurationProperty(
                        header_name=address_header, fallback_behavior="MATCH"
                    )
                    if address_header
                    else None
                ),
                evaluation_window_sec=300,
                scope_down_statement=posts,
            )
        ),
    )


def _managed(
    name: str, *, priority: int, block: Iterable[str], count: Iterable[str] = ()
) -> waf.CfnWebACL.RuleProperty:
    """Return a managed rule group. AWS: a custom response can only be set for each rule by name."""
    counting = waf.CfnWebACL.RuleActionProperty(count={})
    actions = [(rule, _block("blocked")) for rule in block] + [(rule, counting) for rule in count]
    return waf.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        visibility_config=_visibility(name),
        statement=waf.CfnWebACL.StatementProperty(
            managed_rule_group_statement=waf.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=name,
                rule_action_overrides=[
                    waf.CfnWebACL.RuleActionOverrideProperty(name=rule, action_to_use=action)
                    for rule, action in actions
                ],
            )
        ),
    )
