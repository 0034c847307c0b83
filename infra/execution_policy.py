"""Permissions of CloudFormation as data. `cdk bootstrap` attaches this policy to CloudFormation's execution role."""

from collections.abc import Sequence

from infra import owned
from infra.boundary import BOUNDARY_NAME
from infra.config import PROJECT, REPOSITORY, TITLE
from infra.model import Owned
from infra.permissions import UNSUPPORTED, Condition, Statement, arn

NAME = f"{PROJECT}-cdk-execution"
BOUNDED = Condition("iam:PermissionsBoundary", (arn("iam", f"policy/{BOUNDARY_NAME}", regional=False),))
_ROLES = (arn("iam", f"role/{TITLE}Service-*", regional=False),)
_BOUNDED_ROLES = "roles of service stacks, which all have the boundary"
_NO_NAME = "these resources have IDs instead of names, so the policy only limits their types"

_UNNAMED = (
    Statement(
        sid="Network",
        actions=(
            "ec2:Describe*",
            "ec2:*Vpc*",
            "ec2:*Subnet*",
            "ec2:*Route*",
            "ec2:*InternetGateway",
            "ec2:*NatGateway",
            "ec2:*Address",
            "ec2:*SecurityGroup*",
            "ec2:*FlowLogs",
            "ec2:*Tags",
        ),
        resources=("*",),
        why=_NO_NAME,
    ),
    Statement(
        sid="LoadBalancing",
        actions=(
            "elasticloadbalancing:*",
            "wafv2:*",
            "acm:*Certificate*",
            "cloudfront:*Distribution*",
            "cloudfront:*Function",
            "cloudfront:*Tag*Resource",
            "cloudfront:*VpcOrigin",
            "route53:*HealthCheck",  # of 1.0.0, which an update deletes
            "route53:*ResourceRecordSets",
            "route53:*TagsForResource",
            "route53:AssociateVPCWithHostedZone",
            "route53:Get*",
            "route53:ListHostedZones",
        ),
        resources=("*",),
        why=_NO_NAME,
    ),
    Statement(
        sid="ScalingAndTaskDefinitions",
        actions=(
            "application-autoscaling:*",
            "ecs:CreateCluster",
            "ecs:RegisterTaskDefinition",
            "ecs:DeregisterTaskDefinition",
            "ecs:Describe*",
        ),
        resources=("*",),
        why=UNSUPPORTED,
    ),
    Statement(
        sid="Tasks",
        actions=("ecs:*",),
        resources=(
            arn("ecs", f"cluster/{PROJECT}-*"),
            arn("ecs", f"service/{PROJECT}-*"),
            arn("ecs", f"service-deployment/{PROJECT}-*"),
            arn("ecs", f"task-definition/{PROJECT}-*"),
        ),
    ),
)
_NAMED_ACTIONS = (
    "ecr:*",
    "secretsmanager:*",
    "sns:*",
    "events:*",
    "cloudwatch:*",
    "s3:*",
    "budgets:*Budget",
    "budgets:*Resource",
)
_NAMED_RESOURCES = (
    arn("ecr", f"repository/{REPOSITORY}"),
    arn("ecr", f"repository/{PROJECT}-previews"),  # that of 1.0.0, which an update deletes; remove this in 1.2
    arn("secretsmanager", f"secret:{PROJECT}/*"),
    arn("sns", f"{TITLE}*"),
    arn("events", f"rule/{TITLE}*"),
    arn("budgets", "budget/*", regional=False),
    arn("cloudwatch", f"alarm:{PROJECT}-*"),
    arn("cloudwatch", f"alarm:TargetTracking-service/{PROJECT}-*"),
    arn("cloudwatch", f"dashboard/{PROJECT}-*", regional=False),
    f"arn:PARTITION:s3:::{PROJECT}-*",
)
_OTHERS = (
    Statement(
        sid="Logs",
        actions=("logs:*",),
        resources=(arn("logs", f"log-group:/{PROJECT}/*"), arn("logs", f"log-group:aws-waf-logs-{PROJECT}-*")),
    ),
    Statement(
        sid="AccountLevelActions",
        actions=(
            "billing:GetBillingViewData",
            "cloudwatch:DescribeAlarms",
            "logs:*LogDeliver*",
            "logs:*QueryDefinition*",
            "logs:*ResourcePolic*",
            "logs:Describe*",
            "secretsmanager:GetRandomPassword",
        ),
        resources=("*",),
        why=UNSUPPORTED,
    ),
    Statement(
        sid="PermissionsOfRoles",
        actions=("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"),
        resources=_ROLES,
        condition=BOUNDED,
        why=_BOUNDED_ROLES,
    ),
    Statement(
        sid="Roles",
        actions=(
            "iam:DeleteRole",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ),
        resources=_ROLES,
        why="these actions support no condition on the boundary, but every role with this name has the boundary",
    ),
    Statement(
        sid="RolesToServices",
        actions=("iam:PassRole",),
        resources=_ROLES,
        condition=Condition("iam:PassedToService", ("ecs-tasks.amazonaws.com", "vpc-flow-logs.amazonaws.com")),
        why=_BOUNDED_ROLES,
    ),
    Statement(
        sid="RolesOfServices",
        actions=("iam:CreateServiceLinkedRole",),
        resources=(arn("iam", "role/aws-service-role/*", regional=False),),
        why="AWS defines names and permissions of service-linked roles, and only AWS services can assume them",
    ),
    Statement(
        sid="FindBootstrap",
        actions=("ssm:GetParameters",),
        resources=(arn("ssm", "parameter/cdk-bootstrap/*"),),
        why="each stack reads the bootstrap's version before it deploys",
    ),
)


def statements(owns: Sequence[Owned]) -> tuple[Statement, ...]:
    """Return the statements of the policy."""
    actions = [action for service in owned.services(owns) for action in owned.SERVICES[service].manage]
    resources = [arn for each in owns for arn in owned.patterns(each, PROJECT)]
    named = Statement(
        sid="NamedResources",
        actions=tuple(dict.fromkeys((*actions, *_NAMED_ACTIONS))),
        resources=tuple(dict.fromkeys((*resources, *_NAMED_RESOURCES))),
    )
    return (*_UNNAMED, named, *_OTHERS)
