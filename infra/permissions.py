"""The IAM statements of the access stack as data, each with the reason for its wildcards."""

from dataclasses import dataclass

from infra.stages import REPOSITORY

EXECUTION_POLICY = "comments-cdk-execution"
BOOTSTRAP_QUALIFIER = "hnb659fds"
"""CDK's own default; the roles that `cdk bootstrap` makes carry it."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is allowed on what; PARTITION, REGION and ACCOUNT stand for the stack's."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str


def _arn(service: str, resource: str, *, regional: bool = True) -> str:
    return f"arn:PARTITION:{service}:{'REGION' if regional else ''}:ACCOUNT:{resource}"


_IMAGES = _arn("ecr", f"repository/{REPOSITORY}")
_LOOK = "listing and describing know no resource, and change nothing"
_NAMED = "held to the names of this service; which stages there are changes"

DEPLOY = (
    Statement(
        sid="ActThroughBootstrapRoles",
        actions=("sts:AssumeRole",),
        resources=tuple(
            _arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-{role}-role-*", regional=False)
            for role in ("deploy", "file-publishing", "lookup")
        ),
        why="their names end in account and region",
    ),
    Statement(
        sid="FindBootstrap",
        actions=("ssm:GetParameter",),
        resources=(_arn("ssm", f"parameter/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version"),),
        why="",
    ),
)
TAG = Statement(
    sid="TagProvenImages",
    actions=("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:PutImage"),
    resources=(_IMAGES,),
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
    resources=(_IMAGES,),
    why="",
)
EMPTY_LOGS = Statement(
    sid="EmptyLogBuckets",
    actions=("s3:ListBucket", "s3:DeleteObject"),
    resources=(
        "arn:PARTITION:s3:::comments-*-logs-ACCOUNT-REGION",
        "arn:PARTITION:s3:::comments-*-logs-ACCOUNT-REGION/*",
    ),
    why=_NAMED,
)
OBSERVE = (
    Statement(
        sid="Look",
        actions=(
            "application-autoscaling:DescribeScalableTargets",
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
        resources=(_arn("cloudformation", "stack/Comments*/*"), _arn("cloudformation", "stack/CDKToolkit/*")),
        why=_NAMED,
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
        resources=(_arn("logs", "log-group:/comments/*"),),
        why=_NAMED,
    ),
)

_NO_NAME = "AWS gives these resources ids, not names, so the kinds are named instead"
EXECUTION = (
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
        sid="Entrance",
        actions=(
            "elasticloadbalancing:*",
            "wafv2:*",
            "acm:*Certificate*",
            "route53:*ResourceRecordSets",
            "route53:Get*",
        ),
        resources=("*",),
        why=_NO_NAME,
    ),
    Statement(
        sid="Scaling",
        actions=(
            "application-autoscaling:*",
            "ecs:RegisterTaskDefinition",
            "ecs:DeregisterTaskDefinition",
            "ecs:Describe*",
        ),
        resources=("*",),
        why="these calls know no resource",
    ),
    Statement(
        sid="Tasks",
        actions=("ecs:*",),
        resources=tuple(
            _arn("ecs", kind)
            for kind in (
                "cluster/comments-*",
                "service/comments-*",
                "service-deployment/comments-*",
                "task-definition/comments-*",
            )
        ),
        why=_NAMED,
    ),
    Statement(
        sid="State",
        actions=("dynamodb:*", "ecr:*", "secretsmanager:*", "sns:*", "cloudwatch:*", "s3:*"),
        resources=(
            _arn("dynamodb", "table/comments-*"),
            _IMAGES,
            _arn("secretsmanager", "secret:comments/*"),
            _arn("sns", "comments-*"),
            _arn("cloudwatch", "alarm:comments-*"),
            _arn("cloudwatch", "dashboard/comments-*", regional=False),
            "arn:PARTITION:s3:::comments-*",
        ),
        why=_NAMED,
    ),
    Statement(
        sid="Logs",
        actions=("logs:*",),
        resources=(_arn("logs", "log-group:/comments/*"), _arn("logs", "log-group:aws-waf-logs-comments-*")),
        why=_NAMED,
    ),
    Statement(
        sid="LogsOfTheAccount",
        actions=(
            "cloudwatch:DescribeAlarms",
            "logs:*LogDelivery",
            "logs:*QueryDefinition*",
            "logs:*ResourcePolic*",
            "logs:Describe*",
            "secretsmanager:GetRandomPassword",
        ),
        resources=("*",),
        why="these calls know no resource",
    ),
    Statement(
        sid="Roles",
        actions=(
            "iam:*RolePolic*",
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:GetRole",
            "iam:PassRole",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ),
        resources=(_arn("iam", "role/Comments*", regional=False),),
        why=_NAMED,
    ),
    Statement(
        sid="RolesOfServices",
        actions=("iam:CreateServiceLinkedRole",),
        resources=(_arn("iam", "role/aws-service-role/*", regional=False),),
        why="AWS names them, and what they may do",
    ),
    Statement(
        sid="FindBootstrap",
        actions=("ssm:GetParameters",),
        resources=(_arn("ssm", "parameter/cdk-bootstrap/*"),),
        why="the version that a stack asks for before it deploys",
    ),
)
"""The policy of CloudFormation's own role: `cdk bootstrap --cloudformation-execution-policies` takes it."""
