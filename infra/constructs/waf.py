"""WAF web ACL: AWS managed rules and a rate limit, with responses in the application's error format."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.constructs.cloudfront import VIEWER_ADDRESS_HEADER
from infra.model import Stage, Workload

_BLOCKED = 403, "blocked"
_TOO_MANY = 429, "too-many"
"""HTTP status and key of a response."""

_WRITES = ("POST", "PATCH", "PUT", "DELETE")

_COMMON = {
    "NoUserAgent": ("HEADER",),
    "UserAgent_BadBots": ("HEADER",),
    "SizeRestrictions": ("Cookie_HEADER", "URIPATH"),
    "EC2MetaDataSSRF": ("COOKIE", "URIPATH", "QUERYARGUMENTS"),
    "GenericLFI": ("QUERYARGUMENTS", "URIPATH"),
    "RestrictedExtensions": ("URIPATH", "QUERYARGUMENTS"),
    "GenericRFI": ("QUERYARGUMENTS", "URIPATH"),
    "CrossSiteScripting": ("COOKIE", "QUERYARGUMENTS", "URIPATH"),
}
_BAD_INPUTS = {
    "JavaDeserializationRCE": ("HEADER", "URIPATH", "QUERYSTRING"),
    "Host_localhost": ("HEADER",),
    "PROPFIND": ("METHOD",),
    "ExploitablePaths": ("URIPATH",),
    "Log4JRCE": ("HEADER", "QUERYSTRING", "URIPATH"),
}
"""Rules by what they detect, and where. AWS's names join both, as in GenericLFI_URIPATH."""
_COMMON_COUNTED = (
    *("SizeRestrictions_QUERYSTRING", "SizeRestrictions_BODY", "EC2MetaDataSSRF_BODY"),
    *("GenericLFI_BODY", "GenericRFI_BODY", "CrossSiteScripting_BODY"),
)
_BAD_INPUT_BODIES = tuple(f"{each}_BODY" for each in ("JavaDeserializationRCE", "Log4JRCE", "ReactJSRCE"))
"""Counted but not blocked: a query with 20 URLs of pages may be longer than 2 KB, a text longer than 8 KB, and people
who write about code mention HTML, ../../etc/passwd, ${jndi:…} or a Java class."""
_REPUTATION = ("AWSManagedIPReputationList", "AWSManagedReconnaissanceList")


class WebAcl(Construct):
    """Web ACL of a load balancer: $5 a month, $1 per rule and $0.60 per million requests."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, workload: Workload, resource_arn: str
    ) -> None:
        super().__init__(scope, construct_id)
        address_header = VIEWER_ADDRESS_HEADER if stage.behind_cloudfront else None
        acl = waf.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action={"allow": {}},
            visibility_config=_visibility(stage.service),
            custom_response_bodies={
                key: {"contentType": "APPLICATION_JSON", "content": json.dumps(body)}
                for (_, key), body in ((_BLOCKED, workload.blocked_body), (_TOO_MANY, workload.limited_body))
            },
            rules=[
                _post_rate(stage.post_limit, workload.post_path, address_header),
                # AWS: this group only checks the connecting address, which behind a proxy is not the client's.
                *([] if address_header else [_managed(1, "AWSManagedRulesAmazonIpReputationList", block=_REPUTATION)]),
                _managed(2, "AWSManagedRulesKnownBadInputsRuleSet", block=_names(_BAD_INPUTS), count=_BAD_INPUT_BODIES),
                _managed(3, "AWSManagedRulesCommonRuleSet", block=_names(_COMMON), count=_COMMON_COUNTED),
            ],
        )
        waf.CfnWebACLAssociation(self, "Association", resource_arn=resource_arn, web_acl_arn=acl.attr_arn)
        log_group = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=stage.waf_log_group,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        waf.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=acl.attr_arn,
            log_destination_configs=[log_group],
            redacted_fields=[{"singleHeader": {"Name": "authorization"}}],  # such as a bearer token
            logging_filter={
                "DefaultBehavior": "DROP",  # others are in the access log; a counted one would be logged with its text
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": "BLOCK"}}],
                    }
                ],
            },
        )


def _visibility(metric: str) -> dict[str, Any]:
    return {"cloudWatchMetricsEnabled": True, "metricName": metric, "sampledRequestsEnabled": True}


def _block(status: int, key: str) -> dict[str, Any]:
    # Otherwise, browsers hide the response from scripts of other origins, such as a widget's.
    headers = [{"name": "access-control-allow-origin", "value": "*"}]
    response = {"responseCode": status, "customResponseBodyKey": key, "responseHeaders": headers}
    return {"block": {"customResponse": response}}


def _matches(field: str, constraint: str, text: str, *, transformation: str) -> dict[str, Any]:
    match = {
        "fieldToMatch": {field: {}},
        "positionalConstraint": constraint,
        "searchString": text,
        "textTransformations": [{"priority": 0, "type": transformation}],
    }
    return {"byteMatchStatement": match}


def _post_rate(limit: int, path: str, address_header: str | None) -> dict[str, Any]:
    """Limit the requests of a client in five minutes that change something under the path.

    `address_header` is the one that a trusted proxy sets to the client's address; None is the connecting address.
    """
    methods = [_matches("method", "EXACTLY", method, transformation="NONE") for method in _WRITES]
    writes = [
        {"orStatement": {"statements": methods}},
        # Servers decode paths: /%61pi is /api.
        _matches("uriPath", "STARTS_WITH", path, transformation="URL_DECODE"),
    ]
    client: dict[str, Any] = {"aggregateKeyType": "IP"}
    if address_header:
        header = {"headerName": address_header, "fallbackBehavior": "MATCH"}
        client = {"aggregateKeyType": "FORWARDED_IP", "forwardedIpConfig": header}
    scope = {"scopeDownStatement": {"andStatement": {"statements": writes}}}
    return {
        "name": "post-rate",
        "priority": 0,
        "action": _block(*_TOO_MANY),
        "visibilityConfig": _visibility("post-rate"),
        "statement": {"rateBasedStatement": {"limit": limit, **client, "evaluationWindowSec": 300, **scope}},
    }


def _names(rules: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{detected}_{where}" for detected, places in rules.items() for where in places]


def _managed(priority: int, name: str, *, block: Sequence[str], count: Sequence[str] = ()) -> dict[str, Any]:
    """Return a managed rule group. AWS: a custom response can only be set for each rule by name."""
    actions = dict.fromkeys(block, _block(*_BLOCKED)) | {rule: {"count": {}} for rule in count}
    overrides = [{"name": rule, "actionToUse": action} for rule, action in actions.items()]
    group = {"vendorName": "AWS", "name": name, "ruleActionOverrides": overrides}
    return {
        "name": name,
        "priority": priority,
        "overrideAction": {"none": {}},
        "visibilityConfig": _visibility(name),
        "statement": {"managedRuleGroupStatement": group},
    }
