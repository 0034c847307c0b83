"""What GitHub's roles may do, as data: each statement with the reason for its wildcards."""

from dataclasses import dataclass

from infra.stages import REPOSITORY

BOOTSTRAP_QUALIFIER = "hnb659fds"
"""CDK's own default; the roles that `cdk bootstrap` makes carry it."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is allowed on what; PARTITION, REGION, ACCOUNT stand for the stack's, REGISTRY for the images' account."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str


def arn(service: str, resource: str, *, regional: bool = True) -> str:
    return f"arn:PARTITION:{service}:{'REGION' if regional else ''}:ACCOUNT:{resource}"


IMAGES = arn("ecr", f"repository/{REPOSITORY}").replace("ACCOUNT", "REGISTRY")
_LOOK = "listing and describing know no resource, and change nothing"
NAMED = "held to the names of this service; which stages there are changes"

DEPLOY = (
    Statement(
        sid="ActThroughBootstrapRoles",
        actions=("sts:AssumeRole",),
        resources=tuple(
            arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-{role}-role-*", regional=False)
            for role in ("deploy", "file-publishing", "lookup")
        ),
        why="their names end in account and region",
    ),
    Statement(
        sid="FindBootstrap",
        actions=("ssm:GetParameter",),
        resources=(arn("ssm", f"parameter/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version"),),
        why="",
    ),
)
TAG = Statement(
    sid="TagProvenImages",
    actions=("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:PutImage"),
    resources=(IMAGES,),
    why="",
)
PUSH = Statement(
    sid="PushImages",
    actions=(
        *TAG.actions,
        "ecr:BatchCheckLayerAvailability",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
    ),
    resources=(IMAGES,),
    why="",
)
EMPTY_LOGS = Statement(
    sid="EmptyLogBuckets",
    actions=("s3:ListBucket", "s3:DeleteObject"),
    resources=(
        "arn:PARTITION:s3:::comments-*-logs-ACCOUNT-REGION",
        "arn:PARTITION:s3:::comments-*-logs-ACCOUNT-REGION/*",
    ),
    why=NAMED,
)
OBSERVE = (
    Statement(
        sid="Look",
        actions=(
            "application-autoscaling:DescribeScalableTargets",
            "cloudformation:ListStacks",
            "cloudwatch:DescribeAlarms",
            "ec2:DescribeVpcs",
            "ecr:GetAuthorizationToken",
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListServiceDeployments",
            "ecs:ListTasks",
            "elasticloadbalancing:DescribeTargetHealth",
            "logs:DescribeLogGroups",
            "logs:GetQueryResults",
            "servicequotas:GetServiceQuota",
        ),
        resources=("*",),
        why=_LOOK,
    ),
    Statement(
        sid="ReadStacks",
        actions=(
            "cloudformation:DescribeStackDriftDetectionStatus",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DescribeStackResources",
            "cloudformation:DescribeStacks",
            "cloudformation:DetectStackDrift",
            "cloudformation:DetectStackResourceDrift",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ),
        resources=(arn("cloudformation", "stack/Comments*/*"), arn("cloudformation", "stack/CDKToolkit/*")),
        why=NAMED,
    ),
    Statement(
        sid="ReadLogs",
        actions=(
            "logs:DescribeLogStreams",
            "logs:FilterLogEvents",
            "logs:GetLogEvents",
            "logs:StartLiveTail",
            "logs:StartQuery",
        ),
        resources=(arn("logs", "log-group:/comments/*"),),
        why=NAMED,
    ),
)
COMPARE = Statement(
    sid="ReadSettings",
    actions=(
        "acm:DescribeCertificate",
        "application-autoscaling:DescribeScalingPolicies",
        "cloudwatch:GetDashboard",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "ec2:Describe*",
        "ecr:DescribeRepositories",
        "ecr:GetLifecyclePolicy",
        "ecr:GetRepositoryPolicy",
        "ecs:DescribeClusters",
        "elasticloadbalancing:Describe*",
        "events:DescribeRule",
        "events:ListTargetsByRule",
        "iam:GetOpenIDConnectProvider",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "logs:DescribeQueryDefinitions",
        "route53:ListResourceRecordSets",
        "s3:GetBucket*",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "secretsmanager:DescribeSecret",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "wafv2:GetLoggingConfiguration",
        "wafv2:GetWebACL",
        "wafv2:GetWebACLForResource",
    ),
    resources=("*",),
    why="drift detection reads each resource's settings with the caller's permissions; no content is among them",
)
