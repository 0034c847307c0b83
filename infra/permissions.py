"""Roles of GitHub's workflows as data: whom each one trusts, and its permissions with the reason for each wildcard."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from infra.stages import BOOTSTRAP_QUALIFIER, PREVIEW, REPOSITORY, STAGES, Stage

ISSUER = "token.actions.githubusercontent.com"
STACK_DEPLOYER = "comments-cdk-deploy"
"""Role that the CDK CLI assumes to create and execute change sets. The bootstrap's own deploy role may update every
stack of the account, including those that other CDK apps deploy with an administrator's role, so it isn't used."""


class Condition(NamedTuple):
    """`StringEquals` on a condition key: the request must have one of these values."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Allowed actions on resources. PARTITION, REGION and ACCOUNT stand for those of the stack."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Condition | None = None
    why: str


def arn(service: str, resource: str, *, regional: bool = True) -> str:
    return f"arn:PARTITION:{service}:{'REGION' if regional else ''}:ACCOUNT:{resource}"


_DESCRIBE = "listing and describing support no resource and change nothing"
NAMED = "limited to the names of this service; its stages change"
STACKS = (arn("cloudformation", "stack/Comments*/*"),)

DEPLOY = Statement(
    sid="DeployThroughCdk",
    actions=("sts:AssumeRole",),
    resources=(
        arn("iam", f"role/{STACK_DEPLOYER}", regional=False),
        arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-file-publishing-role-ACCOUNT-REGION", regional=False),
    ),
    why="",
)
_TAG = ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:DescribeImageScanFindings", "ecr:PutImage")
_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
)
_PULL = "ecr:GetDownloadUrlForLayer"
_LOG_IN = Statement(
    sid="LogInToPush",
    actions=("ecr:GetAuthorizationToken",),
    resources=("*",),
    why="the login supports no repository",
)


def images(repository: str, account: str | None = None) -> str:
    """Return the ARN of an ECR repository, in the account of the stack or another one."""
    return arn("ecr", f"repository/{repository}").replace("ACCOUNT", account or "ACCOUNT")


def tag_images(stage: Stage) -> tuple[Statement, ...]:
    """Allow reading and tagging the images that the stage runs, but not adding one."""
    where = images(stage.image_repository, stage.registry_account)
    return (Statement(sid="TagReleasedImages", actions=_TAG, resources=(where,), why=""),)


def push_images(stage: Stage) -> tuple[Statement, ...]:
    """Allow adding images to the repository of the stage, and reading their layers."""
    where = images(stage.image_repository, stage.registry_account)
    return (Statement(sid="PushImages", actions=(*_TAG, *_PUSH, _PULL), resources=(where,), why=""), _LOG_IN)


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
    Statement(sid="FindPreviews", actions=("cloudformation:ListStacks",), resources=("*",), why=_DESCRIBE),
)
RELEASE = (
    Statement(
        sid="Describe",
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
        why=_DESCRIBE,
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
        actions=("cloudformation:DescribeStacks",),
        resources=STACKS,
        why=NAMED,
    ),
    Statement(
        sid="ReadLogs",
        actions=("logs:FilterLogEvents", "logs:StartLiveTail", "logs:StartQuery"),
        resources=(arn("logs", "log-group:/comments/*"),),
        why=NAMED,
    ),
    Statement(
        sid="ReadQueryResults",
        actions=("logs:GetQueryResults",),
        resources=("*",),
        why="a query has an ID and no name; starting it required permission for its log",
    ),
)
DIFF = Statement(
    sid="ReadTemplates",
    actions=("cloudformation:GetTemplate",),
    resources=STACKS,
    why=NAMED,
)
SETTINGS = Statement(
    sid="ReadSettings",
    actions=(
        "acm:DescribeCertificate",
        "acm:ListTagsForCertificate",
        "application-autoscaling:Describe*",
        "application-autoscaling:ListTagsForResource",
        "billing:GetBillingViewData",
        "budgets:ListTagsForResource",
        "budgets:ViewBudget",
        "cloudfront:DescribeFunction",
        "cloudfront:GetCachePolicy",
        "cloudfront:GetDistribution*",
        "cloudfront:GetFunction",
        "cloudfront:GetResponseHeadersPolicy",
        "cloudfront:GetVpcOrigin",
        "cloudfront:ListTagsForResource",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetDashboard",
        "cloudwatch:ListTagsForResource",
        "dynamodb:Describe*",
        "dynamodb:GetResourcePolicy",
        "dynamodb:ListTagsOfResource",
        "ec2:Describe*",
        "ecr:DescribeRepositories",
        "ecr:GetLifecyclePolicy",
        "ecr:GetRepositoryPolicy",
        "ecr:ListTagsForResource",
        "ecs:Describe*",
        "elasticloadbalancing:Describe*",
        "elasticloadbalancing:GetLoadBalancerWebACL",
        "events:DescribeRule",
        "events:ListTagsForResource",
        "events:ListTargetsByRule",
        "iam:GetOpenIDConnectProvider",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListEntitiesForPolicy",
        "iam:ListRolePolicies",
        "logs:Describe*",
        "logs:GetDataProtectionPolicy",
        "logs:ListTagsForResource",
        "route53:GetHostedZone",
        "route53:ListHostedZones",
        "route53:ListResourceRecordSets",
        "s3:Get*Configuration",
        "s3:GetBucket*",
        "s3:ListTagsForResource",
        "secretsmanager:DescribeSecret",
        "sns:GetDataProtectionPolicy",
        "sns:GetSubscriptionAttributes",
        "sns:GetTopicAttributes",
        "sns:List*",
        "wafv2:GetLoggingConfiguration",
        "wafv2:GetWebACL",
        "wafv2:GetWebACLForResource",
        "wafv2:ListTagsForResource",
    ),
    resources=("*",),
    why="drift detection reads the settings of each resource with the caller's permissions; none is content",
)
DRIFT = (
    Statement(
        sid="DetectDrift",
        actions=(
            "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DetectStackDrift",
            "cloudformation:DetectStackResourceDrift",
            "cloudformation:ListStackResources",
        ),
        resources=STACKS,
        why=NAMED,
    ),
    Statement(
        sid="PollDrift",
        actions=("cloudformation:DescribeStackDriftDetectionStatus",),
        resources=("*",),
        why="a detection has an ID and no name; starting it required permission for its stack",
    ),
    Statement(
        sid="FindBuckets",
        actions=("s3:ListBucket",),
        resources=("arn:PARTITION:s3:::comments-*",),
        why=NAMED,
    ),
    SETTINGS,
)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """A role, the workflow runs that may assume it, and its permissions."""

    role: str
    subjects: tuple[str, ...]
    """The part of the token's subject after `repo:OWNER/NAME:`."""
    statements: tuple[Statement, ...]
    why: str

    @property
    def actions(self) -> Iterator[str]:
        return (action for statement in self.statements for action in statement.actions)

    def grants(self, action: str) -> bool:
        """Return whether a statement allows the action on any resource; IAM ignores case."""
        return any(fnmatchcase(action.lower(), granted.lower()) for granted in self.actions)


def trusts(stages: Iterable[Stage]) -> list[Trust]:
    """Return the roles of an account that holds these stages: it gets no role of a stage that lives elsewhere."""
    lasting = [stage for stage in stages if not stage.is_preview]
    previews = [stage for stage in stages if stage.is_preview]
    return [*map(_deploy, lasting), *map(_preview, previews), *([READ] if lasting else [])]


def _deploy(stage: Stage) -> Trust:
    """A protected stage deploys what another one ran, so it can't push."""
    return Trust(
        role=f"comments-deploy-{stage.name}",
        subjects=(f"environment:{stage.name}",),
        statements=(DEPLOY, *(tag_images if stage.protect else push_images)(stage), *RELEASE, *OBSERVE),
        why=f"deploys {stage.name} from its GitHub environment" + (" and can't push an image" if stage.protect else ""),
    )


def _preview(stage: Stage) -> Trust:
    return Trust(
        role="comments-preview",
        subjects=("pull_request", "ref:refs/heads/main"),
        statements=(DEPLOY, *push_images(stage), *RELEASE, *OBSERVE, *CLEAN_UP),
        why="deploys the preview of a pull request and, from main, destroys it; forks get no token",
    )


READ = Trust(
    role="comments-read",
    subjects=("ref:refs/heads/main",),
    statements=(*OBSERVE, DIFF, *DRIFT),
    why="diff, drift and logs, which change nothing",
)
TRUSTS = tuple(trusts([stage for stage in STAGES.values() if not stage.is_playground] + [PREVIEW]))
"""The roles of all accounts."""

DEPLOY_STACKS = (
    Statement(
        sid="DeployStacks",
        actions=tuple(
            f"cloudformation:{action}"
            for action in (
                *("CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "CreateStack", "UpdateStack"),
                *("DeleteStack", "RollbackStack", "ContinueUpdateRollback", "UpdateTerminationProtection"),
            )
        ),
        resources=tuple(
            arn("cloudformation", f"stack/{name}/*")
            for name in ("CommentsRegistry", "CommentsFoundation-*", "CommentsService-*")
        ),
        why="every stage has two stacks; those of access and the bootstrap are not among them",
    ),
    Statement(
        sid="ReadStacks",
        actions=("cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*"),
        resources=("*",),
        why="reading changes nothing, and the CLI reads change sets and templates by ID",
    ),
    Statement(
        sid="PassExecutionRole",
        actions=("iam:PassRole",),
        resources=(arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-cfn-exec-role-ACCOUNT-REGION", regional=False),),
        condition=Condition("iam:PassedToService", ("cloudformation.amazonaws.com",)),
        why="",
    ),
    Statement(
        sid="ReadTemplatesOfTheBucket",
        actions=("s3:GetObject", "s3:GetBucketLocation", "s3:ListBucket"),
        resources=tuple(
            f"arn:PARTITION:s3:::cdk-{BOOTSTRAP_QUALIFIER}-assets-ACCOUNT-REGION{objects}" for objects in ("", "/*")
        ),
        why="templates are named by their hash",
    ),
    Statement(
        sid="ReadBootstrapVersion",
        actions=("ssm:GetParameter", "ssm:GetParameters"),
        resources=(arn("ssm", f"parameter/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version"),),
        why="",
    ),
)
"""Permissions of STACK_DEPLOYER."""

BOUNDARY_NAME = "comments-boundary"
BOUNDARY = (
    Statement(
        sid="Comments",
        actions=tuple(f"dynamodb:{action}" for action in ("Query", "GetItem", "PutItem", "DeleteItem")),
        resources=(arn("dynamodb", "table/comments-*"),),
        why=NAMED,
    ),
    Statement(
        sid="PullImages",
        actions=("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"),
        resources=(images(f"{REPOSITORY}*", "*"),),
        why="another account may hold the images; its repository's policy decides",
    ),
    Statement(
        sid="LogInToPull",
        actions=("ecr:GetAuthorizationToken",),
        resources=("*",),
        why="the login supports no repository",
    ),
    Statement(
        sid="WriteLogs",
        actions=("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"),
        resources=(arn("logs", "log-group:/comments/*"),),
        why=NAMED,
    ),
    Statement(
        sid="ReadSecrets",
        actions=("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
        resources=(arn("secretsmanager", "secret:comments/*"),),
        why=NAMED,
    ),
)
"""The most that a role of a service stack can ever do, whatever policies CloudFormation gives it."""
