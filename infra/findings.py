"""Acknowledged findings of cdk-nag: each is accepted next to the code that it is about, with a reason."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct

ACKNOWLEDGED = "comments:acknowledged"
"""Type of the construct metadata from which `python -m infra.checks --write` makes docs/acknowledgements.md."""


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept findings on a construct: reasons by the ID of the rule."""
    construct.node.add_metadata(ACKNOWLEDGED, dict(findings))
    cdk.Validations.of(construct).acknowledge(
        *(cdk.Acknowledgment(id=rule, reason=reason) for rule, reason in findings.items())
    )


def wildcard_finding(scope: IConstruct, arn: str) -> str:
    """Return the ID under which cdk-nag reports the wildcard resource `arn` of a policy."""
    stack = scope if isinstance(scope, cdk.Stack) else cdk.Stack.of(scope)
    resolved = stack.resolve(arn)
    joined = isinstance(resolved, dict) and "Fn::Join" in resolved
    parts = resolved["Fn::Join"][1] if joined else [resolved]
    return f"AwsSolutions-IAM5[Resource::{''.join(map(_nag_spelling, parts))}]"


def _nag_spelling(part: str | Mapping[str, Any]) -> str:
    if isinstance(part, str):
        return part
    return f"<{part['Ref']}>" if "Ref" in part else f"<{'.'.join(part['Fn::GetAtt'])}>"
