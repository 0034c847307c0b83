"""CloudFormation's registry names the permissions that each type of resource needs; the policies include them."""

import json
from fnmatch import fnmatch

from infra.execution_policy import statements
from infra.model import Owned
from infra.owned import SERVICES
from infra.permissions import SETTINGS
from tests.infra.synthesis import CFN_LINT, CLOUDFRONT, NAT, TLS, iam_actions, templates

BY_A_PERSON = {"AWS::IAM::ManagedPolicy", "AWS::IAM::OIDCProvider"}
"""Types of AccessStack, which precedes the policy."""
UNUSED = {
    "a customer-managed key": ("kms:*",),
    "streams of a table": ("kinesis:*",),
    "targets of scaling other than ECS": ("lambda:*",),
    "a private certificate authority": ("acm-pca:*",),
    "listeners that sign people in": ("cognito-idp:*",),
    "web ACLs of anything but a load balancer": (
        "amplify:*", "apigateway:*", "apprunner:*", "appsync:*", "bedrock-agentcore:*", "ec2:*VerifiedAccess*",
        "payments:*",
    ),
    "a bucket's metadata as a table": ("s3tables:*",),
    "logs that go to Firehose": ("firehose:*",),
    "endpoints of a service network, or across regions": ("vpc-lattice:*", "vpce:*"),
    "a gateway to a VPN": ("ec2:*VpnGateway",),
    "distributions for many customers": ("cloudfront:*ConnectionGroup",),
    "updates from a staging distribution": ("cloudfront:UpdateDistributionWithStagingConfig",),
    "CloudFront's own service-linked role": ("sts:AssumeRole",),
    "an address of another account": ("ec2:AcceptAddressTransfer",),
    "flow logs of another kind than a VPC's": ("autoscaling:DescribeTags",),
    "policies of groups and users": ("iam:*GroupPolicy", "iam:*UserPolicy"),
    "removing the boundary of a role": ("iam:DeleteRolePermissionsBoundary",),
    "managed policies of roles": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "an organization's web ACLs": ("iam:DescribeOrganization",),
    "settings of the account, which the cluster's own replace": ("ecs:PutAccountSetting*",),
    "health checks of a routing control": ("route53-recovery-control-config:*",),
    "a log group's index": ("logs:*IndexPolic*",),
}  # fmt: skip
"""What a handler names for features that no stage uses, by feature."""
REMOVED = {"AWS::Route53::HealthCheck"}
"""Types that stages of 1.0.0 may have: an update deletes them with the new policy."""
CHANGES_OR_CONTENT = (
    *("cloudwatch:PutMetricData", "*:Associate*", "*:Create*", "*:Delete*", "*:Disassociate*"),
    *("*:PassRole", "*:SetWebACL", "*:GetSecretValue"),
)
"""Permissions that handlers name for reading but a role that only reads must not have."""


def types() -> set[str]:
    """Return the types of resources of stages that use every option."""
    found = [template for stage in (TLS, NAT, CLOUDFRONT) for template in templates(stage).all]
    return {resource["Type"] for template in found for resource in template.to_json()["Resources"].values()}


def needed(kind: str, *operations: str) -> set[str]:
    """Return the permissions that the handlers of a type name, without those of features that no stage uses."""
    file = json.loads((CFN_LINT / "schemas/providers/us-east-1.json").read_text())[kind]
    handlers = json.loads((CFN_LINT / "schemas/resources" / f"{file}.json").read_text()).get("handlers", {})
    named = {action for each in operations for action in handlers.get(each, {}).get("permissions", [])}
    unused = [pattern for patterns in UNUSED.values() for pattern in patterns]
    return {action for action in named if not granted(action, unused)}


def granted(action: str, patterns: list[str]) -> bool:
    return any(fnmatch(action.lower(), pattern.lower()) for pattern in patterns)


def knows_a_resource(action: str) -> bool:
    """Return whether an action supports resource-level permissions, which is assumed for one that AWS's list lacks."""
    known = list(iam_actions(action).values())
    return not known or any(each.get("Resources") for each in known)


def test_cloudformation_may_do_what_every_type_of_resource_needs() -> None:
    """An action without resource-level permissions must be granted on all resources."""
    policy = statements([Owned(service=service) for service in SERVICES])
    allowed = [action for statement in policy for action in statement.actions]
    everywhere = [action for statement in policy if statement.resources == ("*",) for action in statement.actions]
    own = {kind for facts in SERVICES.values() for kind in facts.types}
    assert {
        (kind, action)
        for kind in (types() | own | REMOVED) - BY_A_PERSON
        for action in needed(kind, "create", "read", "update", "delete")
        if not granted(action, allowed if knows_a_resource(action) else everywhere)
    } == set()


def test_the_role_that_reads_may_read_the_settings_of_every_type_and_no_others() -> None:
    read = {(kind, action) for kind in types() for action in needed(kind, "read")}
    allowed = [*SETTINGS.actions, "s3:ListBucket"]
    assert {each for each in read if not granted(each[1], [*allowed, *CHANGES_OR_CONTENT])} == set()
    assert [pattern for pattern in allowed if not any(granted(action, [pattern]) for _, action in read)] == []


def test_drift_of_every_own_resource_can_be_read() -> None:
    for facts in SERVICES.values():
        read = {action for kind in facts.types for action in needed(kind, "read")}
        allowed = [*SETTINGS.actions, *facts.read, "s3:ListBucket", *CHANGES_OR_CONTENT]
        assert {action for action in read if not granted(action, allowed)} == set()
