"""For each permission of the release that the playground can enforce, the smallest command that needs it."""

from collections.abc import Iterator
from dataclasses import dataclass

THREAD = 4711
"""A content_id."""


@dataclass(frozen=True)
class Proof:
    """A command that a role can run, and not without one of its permissions."""

    role: str
    action: str
    command: tuple[str, ...]
    """Module and arguments."""
    of: str = ""
    """What is in the resources on which alone the action is taken away."""

    def __str__(self) -> str:
        return f"{self.action} {self.of}".strip()


def _by(role: str, needs: dict[str, str]) -> Iterator[Proof]:
    for action, command in needs.items():
        name, _, of = action.partition(" on ")
        yield Proof(role, name, tuple(command.split()), of)


def _piece(name: str) -> str:
    return f"tests.playground.pieces {name}"


DRIFT = "release.status drift playground"
PROOFS = (
    *_by(
        "comments-deploy-dev",
        {
            "sts:AssumeRole on comments-cdk-deploy": "release playground",
            "sts:AssumeRole on file-publishing-role": "release playground",
            "cloudformation:DescribeStacks": "release.status endpoint playground",
            "cloudformation:DescribeStackEvents": _piece("stack_events"),
            "ec2:DescribeVpcs": _piece("first_deployment"),
            "ecr:BatchGetImage": _piece("one_more_tag"),
            "ecr:DescribeImages": _piece("image_by_tag"),
            "ecr:DescribeImageScanFindings": _piece("scan_gate"),
            "ecr:GetAuthorizationToken": _piece("push_image"),
            "ecr:GetDownloadUrlForLayer": "release.sbom playground",
            "ecr:BatchCheckLayerAvailability": _piece("push_image"),
            "ecr:CompleteLayerUpload": _piece("push_image"),
            "ecr:InitiateLayerUpload": _piece("push_image"),
            "ecr:UploadLayerPart": _piece("push_image"),
            "ecr:PutImage": _piece("one_more_tag"),
            "ecs:DescribeServices": _piece("verification"),
            "ecs:DescribeTaskDefinition": _piece("task_log"),
            "ecs:DescribeTasks": _piece("verification"),
            "ecs:ListTasks": _piece("verification"),
            "elasticloadbalancing:DescribeTargetHealth": _piece("failed_deployment"),
            "logs:FilterLogEvents": "release.logs playground",
            "logs:GetLogEvents": _piece("task_log"),
            "logs:StartLiveTail": "release.logs playground --follow",
        },
    ),
    *_by(
        "comments-preview",
        {
            "cloudformation:ListStacks": _piece("outdated_previews"),
            "s3:DeleteObject": _piece("emptied_logs"),
            "s3:ListBucket": _piece("emptied_logs"),
        },
    ),
    *_by(
        "comments-read",
        {
            "cloudformation:DescribeStackDriftDetectionStatus": DRIFT,
            "cloudformation:DescribeStackResourceDrifts": DRIFT,
            "cloudformation:DetectStackDrift": DRIFT,
            "cloudformation:GetTemplate": "release.status diff playground",
            "cloudformation:ListStackResources": DRIFT,
        },
    ),
)


@dataclass(frozen=True)
class Request:
    """A request to the service, and the permission without which its task cannot answer it."""

    needs: str
    method: str
    path: str
    """COMMENT stands for the id of a comment in the thread."""
    key: str | None = None
    """An idempotency key."""

    def __str__(self) -> str:
        return f"{self.needs} {self.method}{' with a key' if self.key else ''}"


REQUESTS = (
    Request("dynamodb:Query", "GET", f"/api/comment/list/{THREAD}"),
    Request("dynamodb:PutItem", "POST", "/api/comment/new"),
    Request("dynamodb:PutItem", "POST", "/api/comment/new", key="any"),
    Request("dynamodb:GetItem", "POST", "/api/comment/new", key="any"),
    Request("dynamodb:GetItem", "DELETE", f"/api/moderation/{THREAD}/COMMENT"),
    Request("dynamodb:DeleteItem", "DELETE", f"/api/moderation/{THREAD}/COMMENT"),
)
EXECUTION = (
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
)
"""What ECS needs of the execution role before it starts a task."""
