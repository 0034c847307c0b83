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
STACKS = (arn("cloudformation", "stack/Comments*/*"), arn("cloudformation", "stack/CDKToolkit/*"))

DEPLOY = Statement(
    sid="ActThroughBootstrapRoles",
    actions=("sts:AssumeRole",),
    resources=tuple(
        arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-{role}-role-*", regional=False)
        for role in ("deploy", "file-publishing")
    ),
    why="their names end in account and region",
)
TAG = Statement(
    sid="TagProvenImages",
    actions=("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:PutImage"),
    resources=(IMAGES,),
    why="",
)
PUSH = (
    Statement(
        sid="PushImages",
        actions=(
            *TAG.actions,
            "ecr:BatchCheckLayerAvailability",
            "ecr:CompleteLayerUpload",
            "ecr:InitiateLayerUpload",
            "ecr:UploadLayerPart",
        ),
        resources=(IMAGES,),
        why="",
    ),
    Statement(
        sid="LogInToPush",
        actions=("ecr:GetAuthorizationToken",),
        resources=("*",),
        why="the login knows no repository",
    ),
)
CLEAN_UP = (
    Statement(
        sid="EmptyLogBuckets",
        actions=("s3:ListBucket", "s3:DeleteObject"),
        resources=(
            "arn:PARTITION:s3:::comments-*-logs-ACCOUNT-REGION",
            "arn:PARTITION:s3:::comments-*-logs-ACCOUNT-REGION/*",
        ),
        why=NAMED,
    ),
    Statement(sid="FindPreviews", actions=("cloudformation:ListStacks",), resources=("*",), why=_LOOK),
)
RELEASE = (
    Statement(
        sid="Look",
        actions=(
            "ec2:DescribeVpcs",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListTasks",
            "elasticloadbalancing:DescribeTargetHealth",
            "servicequotas:GetServiceQuota",
        ),
        resources=("*",),
        why=_LOOK,
    ),
    Statement(
        sid="ReadEvents",
        actions=("cloudformation:DescribeStackEvents",),
        resources=STACKS,
        why=NAMED,
    ),
    Statement(
        sid="ReadTaskLogs",
        actions=("logs:GetLogEvents",),
        resources=(arn("logs", "log-group:/comments/*"),),
        why=NAMED,
    ),
)
OBSERVE = (
    Statement(
        sid="ReadStacks",
        actions=("cloudformation:DescribeStacks", "cloudformation:GetTemplate"),
        resources=STACKS,
        why=NAMED,
    ),
    Statement(
        sid="ReadLogs",
        actions=("logs:FilterLogEvents", "logs:StartQuery"),
        resources=(arn("logs", "log-group:/comments/*"),),
        why=NAMED,
    ),
    Statement(
        sid="ReadAnswers",
        actions=("logs:GetQueryResults",),
        resources=("*",),
        why="a query has an id and no name; whoever started it was allowed to read that log",
    ),
)
