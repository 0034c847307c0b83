"""What every stack shares: a synthesis that looks nothing up, tags, and acknowledged findings."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct

from infra.stages import PROJECT

ZONES = 2
ACKNOWLEDGED = "comments:acknowledged"
"""The kind of metadata from which docs/acknowledgements.md is made: reasons by rule."""


class BaseStack(cdk.Stack):
    """A stack that synthesizes with no account and no credentials."""

    def __init__(self, scope: cdk.App, construct_id: str, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, **kwargs)
        cdk.Tags.of(self).add("project", PROJECT)

    @property
    def availability_zones(self) -> list[str]:
        """The first zones of whichever region it lands in, chosen by CloudFormation instead of a look-up."""
        return [cdk.Fn.select(index, cdk.Fn.get_azs()) for index in range(ZONES)]


def wildcard(scope: IConstruct, arn: str) -> str:
    """Return cdk-nag's id of "this resource of a policy has a wildcard", which spells references in its own way."""
    stack = scope if isinstance(scope, cdk.Stack) else cdk.Stack.of(scope)
    resolved = stack.resolve(arn)
    joined = isinstance(resolved, dict) and "Fn::Join" in resolved
    spelt = "".join(map(_spelt, resolved["Fn::Join"][1] if joined else [resolved]))
    return f"AwsSolutions-IAM5[Resource::{spelt}]"


def _spelt(part: str | Mapping[str, Any]) -> str:
    if isinstance(part, str):
        return part
    return f"<{part['Ref']}>" if "Ref" in part else f"<{'.'.join(part['Fn::GetAtt'])}>"


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept findings on a construct, each rule with the reason; CKV_* belong to checkov, the rest to cdk-nag."""
    node = construct.node  # each look at a construct asks jsii's process
    node.add_metadata(ACKNOWLEDGED, dict(findings))
    nag = {rule: reason for rule, reason in findings.items() if not rule.startswith("CKV")}
    if nag:
        cdk.Validations.of(construct).acknowledge(
            *(cdk.Acknowledgment(id=rule, reason=reason) for rule, reason in nag.items())
        )
    skipped = [{"id": rule, "comment": reason} for rule, reason in findings.items() if rule.startswith("CKV")]
    if skipped:
        resource = construct if isinstance(construct, cdk.CfnResource) else node.default_child
        if not isinstance(resource, cdk.CfnResource):
            raise TypeError(f"{node.path} has no CloudFormation resource of its own to acknowledge for")
        present = resource.get_metadata("checkov") or {"skip": []}
        resource.add_metadata("checkov", {"skip": [*present["skip"], *skipped]})
