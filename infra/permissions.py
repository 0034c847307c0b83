"""IAM permissions as data: the roles of GitHub's workflows and CDK's deploy role.

AccessStack creates them. CloudFormation's own permissions are in execution_policy.py, the limits of those of tasks in
boundary.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infra import owned
from infra.config import (
    BOOTSTRAP_QUALIFIER,
    PLAYGROUND,
    PROJECT,
    REPOSITORY,
    TITLE,
    WORKLOAD,
    stages_in_account_of,
)
from infra.model import Stage

ISSUER = "token.actions.githubusercontent.com"
STACK_DEPLOYER = f"{PROJECT}-cdk-deploy"
"""Role that the CDK CLI assumes to create and execute change sets. It replaces the bootstrap's deploy role, which may
update every stack of the account, including stacks of other CDK apps with administrator permissions."""
NAMED = "limited to names of this service; the wildcard covers future stages"
UNSUPPORTED = "these actions don't support resource-level permissions"


class Condition(NamedTuple):
    """`StringEquals` on a condition key: the request must have one of these values."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Allowed actions on resources. PARTITION, REGION and ACCOUNT are placeholders for the stack's."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Condition | None = None
    why: str = NAMED
    """Reason for the wildcards, if there are any."""


def arn(service: str, resource: str, *, regional: bool = True, account: str = "ACCOUNT") -> str:
    return f"arn:PARTITION:{service}:{'REGION' if regional else ''}:{account}:{resource}"


STACKS = (arn("cloudformation", f"stack/{TITLE}*/*"),)
LOGS = (arn("logs", f"log-group:/{PROJECT}/*"),)
_USE = ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:PutImage")
_PUSH = ("ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart")

DEPLOY = Statement(
    sid="DeployThroughCdk",
    actions=("sts:AssumeRole",),
    resources=(
        arn("iam", f"role/{STACK_DEPLOYER}", regional=False),
        arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-file-publishing-role-ACCOUNT-REGION", regional=False),
    ),
)
RELEASE = (
    Statement(
        sid="Describe",
        actions=(
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:ListTasks",
            "elasticloadbalancing:DescribeTargetHealth",
        ),
        resources=("*",),
        why=UNSUPPORTED,
    ),
    Statement(sid="ReadEvents", actions=("cloudformation:DescribeStackEvents",), resources=STACKS),
    Statement(
        sid="CancelHopelessUpdates",
        actions=("cloudformation:CancelUpdateStack",),
        resources=(arn("cloudformation", f"stack/{TITLE}Service-*/*"),),
    ),
    Statement(
        sid="CountResources",
        actions=("ec2:DescribeAddresses", "ec2:DescribeVpcs"),
        resources=("*",),
        why=UNSUPPORTED,
    ),
    Statement(
        sid="ReadQuotas",
        actions=("servicequotas:GetServiceQuota",),
        resources=tuple(arn("servicequotas", f"{service}/*") for service in ("ec2", "fargate", "vpc")),
        why="quotas of these services can be read",
    ),
    Statement(sid="ReadTaskLogs", actions=("logs:GetLogEvents",), resources=LOGS),
)
OBSERVE = (
    Statement(sid="ReadStacks", actions=("cloudformation:DescribeStacks",), resources=STACKS),
    Statement(
        sid="ReadLogs", actions=("logs:FilterLogEvents", "logs:StartLiveTail", "logs:StartQuery"), resources=LOGS
    ),
    Statement(
        sid="ReadQueryResults",
        actions=("logs:GetQueryResults",),
        resources=("*",),
        why="queries have IDs, not names; starting one requires permission for its log group",
    ),
)
_SETTINGS = {
    "acm": ("DescribeCertificate", "ListTagsForCertificate"),
    "application-autoscaling": ("Describe*", "ListTagsForResource"),
    "billing": ("GetBillingViewData",),
    "budgets": ("ListTagsForResource", "ViewBudget"),
    "cloudfront": ("DescribeFunction", "GetDistribution*", "GetFunction", "GetVpcOrigin", "ListTagsForResource"),
    "cloudwatch": ("DescribeAlarms", "GetDashboard", "ListTagsForResource"),
    "ec2": ("Describe*",),
    "ecr": ("DescribeRepositories", "GetLifecyclePolicy", "GetRepositoryPolicy", "ListTagsForResource"),
    "ecs": ("Describe*",),
    "elasticloadbalancing": ("Describe*", "GetLoadBalancerWebACL"),
    "events": ("DescribeRule", "ListTagsForResource", "ListTargetsByRule"),
    "iam": (
        "GetOpenIDConnectProvider",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListEntitiesForPolicy",
        "ListRolePolicies",
    ),
    "logs": ("Describe*", "GetDataProtectionPolicy", "ListTagsForResource"),
    "route53": ("GetHostedZone", "ListHostedZones", "ListResourceRecordSets"),
    "s3": ("Get*Configuration", "GetBucket*", "ListTagsForResource"),
    "secretsmanager": ("DescribeSecret",),
    "sns": ("GetDataProtectionPolicy", "GetSubscriptionAttributes", "GetTopicAttributes", "List*"),
    "wafv2": ("GetLoggingConfiguration", "GetWebACL", "GetWebACLForResource", "ListTagsForResource"),
}
SETTINGS = Statement(
    sid="ReadSettings",
    actions=tuple(
        sorted(
            {f"{service}:{name}" for service, names in _SETTINGS.items() for name in names}.union(
                *(owned.SERVICES[service].read for service in owned.services(WORKLOAD.owns))
            )
        )
    ),
    resources=("*",),
    why="drift detection reads the settings of each resource, but no content, with the caller's permissions",
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
    ),
    Statement(
        sid="PollDrift",
        actions=("cloudformation:BatchDescribeTypeConfigurations", "cloudformation:DescribeStackDriftDetectionStatus"),
        resources=("*",),
        why="types and detections have no stack; starting a detection requires permission for its stack",
    ),
    Statement(sid="FindBuckets", actions=("s3:ListBucket",), resources=(f"arn:PARTITION:s3:::{PROJECT}-*",)),
    SETTINGS,
)
DIFF = Statement(sid="ReadTemplates", actions=("cloudformation:GetTemplate",), resources=STACKS)


@dataclass(frozen=True, kw_only=True)
class WorkflowRole:
    """A role, the workflow runs that may assume it, and its permissions."""

    name: str
    subjects: tuple[str, ...]
    """The part of the token's subject after `repo:OWNER/NAME:`."""
    statements: tuple[Statement, ...]
    description: str


READ = WorkflowRole(
    name=f"{PROJECT}-read",
    subjects=("ref:refs/heads/main",),
    statements=(*OBSERVE, DIFF, *DRIFT),
    description="Reads differences, drift and logs; cannot change anything",
)


def _run_command(stage: Stage) -> tuple[Statement, ...]:
    """Return the permissions for `before_rollout`."""
    definitions = arn("ecs", f"task-definition/{stage.service}-command:*")
    return (
        Statement(sid="DescribeTasksToRun", actions=("ecs:DescribeTaskDefinition",), resources=("*",), why=UNSUPPORTED),
        Statement(sid="RunCommands", actions=("ecs:RegisterTaskDefinition", "ecs:RunTask"), resources=(definitions,)),
        Statement(
            sid="PassRolesToCommands",
            actions=("iam:PassRole",),
            resources=(arn("iam", f"role/{TITLE}Service-*", regional=False),),
            condition=Condition("iam:PassedToService", ("ecs-tasks.amazonaws.com",)),
            why="CloudFormation names the roles of service stacks, which all have the boundary",
        ),
    )


def workflow_roles(stages: Sequence[Stage]) -> list[WorkflowRole]:
    """Return the roles of an account with these stages. It gets no roles for stages in other accounts."""
    return [*map(_deployer, stages), *([READ] if stages else [])]


def _deployer(stage: Stage) -> WorkflowRole:
    """Return the role that deploys a stage. If the stage takes another's images, it can scan and tag, but not push."""
    actions, limit = (_USE, "; can't push images") if stage.promotes_from else (_USE + _PUSH, "")
    images = arn("ecr", f"repository/{REPOSITORY}", account=stage.registry_account or "ACCOUNT")
    stacks = tuple(arn("cloudformation", f"stack/{name}/*") for name in (stage.foundation_stack, stage.service_stack))
    replace_failed = Statement(
        sid="ReplaceFailedStacks", actions=("cloudformation:UpdateTerminationProtection",), resources=stacks
    )
    statements = (
        DEPLOY,
        *([replace_failed] if stage.protect else []),
        *(_run_command(stage) if WORKLOAD.before_rollout else ()),
        Statement(sid="UseImages", actions=actions, resources=(images,)),
        Statement(sid="LogIn", actions=("ecr:GetAuthorizationToken",), resources=("*",), why=UNSUPPORTED),
        *RELEASE,
        *OBSERVE,
    )
    return WorkflowRole(
        name=f"{PROJECT}-deploy-{stage.name}",
        subjects=(f"environment:{stage.name}",),
        statements=statements,
        description=f"Deploys {stage.name} from its GitHub environment{limit}",
    )


WORKFLOW_ROLES = tuple(workflow_roles(stages_in_account_of(PLAYGROUND)))
"""The roles of all accounts."""

DEPLOY_STACKS = (
    Statement(
        sid="DeployStacks",
        actions=(
            "cloudformation:CreateChangeSet",
            "cloudformation:ExecuteChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:CreateStack",
            "cloudformation:UpdateStack",
            "cloudformation:DeleteStack",
            "cloudformation:RollbackStack",
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:UpdateTerminationProtection",
        ),
        resources=(
            arn("cloudformation", f"stack/{TITLE}Registry/*"),
            arn("cloudformation", f"stack/{TITLE}Foundation-*/*"),
            arn("cloudformation", f"stack/{TITLE}Service-*/*"),
        ),
        why="every stage has two stacks; the access and bootstrap stacks are excluded",
    ),
    Statement(
        sid="ReadStacks",
        actions=("cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*"),
        resources=("*",),
        why="read-only; the CLI reads change sets and templates by ID",
    ),
    Statement(
        sid="PassExecutionRole",
        actions=("iam:PassRole",),
        resources=(arn("iam", f"role/cdk-{BOOTSTRAP_QUALIFIER}-cfn-exec-role-ACCOUNT-REGION", regional=False),),
        condition=Condition("iam:PassedToService", ("cloudformation.amazonaws.com",)),
    ),
    Statement(
        sid="ReadTemplatesOfTheBucket",
        actions=("s3:GetObject", "s3:GetBucketLocation", "s3:ListBucket"),
        resources=(
            f"arn:PARTITION:s3:::cdk-{BOOTSTRAP_QUALIFIER}-assets-ACCOUNT-REGION",
            f"arn:PARTITION:s3:::cdk-{BOOTSTRAP_QUALIFIER}-assets-ACCOUNT-REGION/*",
        ),
        why="templates are named by their hash",
    ),
    Statement(
        sid="ReadBootstrapVersion",
        actions=("ssm:GetParameter", "ssm:GetParameters"),
        resources=(arn("ssm", f"parameter/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version"),),
    ),
)
"""Permissions of STACK_DEPLOYER."""
