"""Acknowledge findings of cdk-nag with a reason, next to the code concerned."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept findings on a construct. `findings` maps rule IDs without AwsSolutions- to reasons."""
    cdk.Validations.of(construct).acknowledge(
        *(cdk.Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason) for rule, reason in findings.items())
    )


def wildcard_finding(scope: IConstruct, arn: str) -> str:
    """Return the ID under which cdk-nag reports the wildcard resource `arn` of a policy."""
    resolved = cdk.Stack.of(scope).resolve(arn)
    parts = [resolved] if isinstance(resolved, str) else resolved["Fn::Join"][1]
    return f"IAM5[Resource::{''.join(map(_nag_format, parts))}]"


def _nag_format(part: str | Mapping[str, Any]) -> str:
    if isinstance(part, str):
        return part
    return f"<{part['Ref']}>" if "Ref" in part else f"<{'.'.join(part['Fn::GetAtt'])}>"
