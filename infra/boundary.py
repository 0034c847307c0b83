"""The permissions boundary: the most that tasks may do. AccessStack creates it, and records what it grants."""

import hashlib
from collections.abc import Mapping, Sequence

from infra import owned
from infra.config import PROJECT, REPOSITORY, TITLE
from infra.model import Owned, camel_case
from infra.permissions import LOGS, UNSUPPORTED, Statement, arn

BOUNDARY_NAME = f"{PROJECT}-boundary"
GRANTED_TAG = "granted:"
"""Prefix of the access stack's tags that record its permissions for own resources, one for each service."""

PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")
GUARDDUTY_AGENT = arn("ecr", "repository/aws-guardduty-agent-fargate", account="*")
"""Image of the container that GuardDuty's Runtime Monitoring adds to tasks. Each region has another account for it."""
_BASE_BOUNDARY = (
    Statement(
        sid="PullImages",
        actions=PULL,
        resources=(arn("ecr", f"repository/{REPOSITORY}", account="*"), GUARDDUTY_AGENT),
        why="the registry may be in another account, whose repository policy applies as well",
    ),
    Statement(sid="ReportToGuardDuty", actions=("guardduty:SendSecurityTelemetry",), resources=("*",), why=UNSUPPORTED),
    Statement(sid="LogInToPull", actions=("ecr:GetAuthorizationToken",), resources=("*",), why=UNSUPPORTED),
    Statement(
        sid="WriteLogs",
        actions=("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"),
        resources=LOGS,
    ),
    Statement(
        sid="ReadSecrets",
        actions=("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
        resources=(arn("secretsmanager", f"secret:{PROJECT}/*"),),
    ),
)


def boundary(owns: Sequence[Owned]) -> tuple[Statement, ...]:
    """Return the maximum permissions of roles in service stacks, regardless of their policies."""
    return (*(_use(each) for each in owns if each.actions), *_BASE_BOUNDARY)


def _use(each: Owned) -> Statement:
    sid = TITLE + camel_case(each.name)
    return Statement(sid=sid, actions=each.actions, resources=owned.patterns(each, PROJECT))


def granted(owns: Sequence[Owned]) -> dict[str, str]:
    """Return tags of the access stack: a hash for each permission that the entries need, by service."""
    found: dict[str, list[str]] = {f"{GRANTED_TAG}{service.value}": [] for service in owned.SERVICES}
    for each in owns:
        for action in (*owned.SERVICES[each.service].manage, *each.actions):
            need = repr((action, owned.patterns(each, PROJECT)))
            found[f"{GRANTED_TAG}{each.service.value}"].append(hashlib.sha256(need.encode()).hexdigest()[:6])
    return {key: " ".join(hashes) or "none" for key, hashes in found.items()}


def not_granted(owns: Sequence[Owned], tags: Mapping[str, str]) -> list[str]:
    """Return the services of which the access stack with these tags lacks a permission."""
    return [
        key.removeprefix(GRANTED_TAG)
        for key, needs in granted(owns).items()
        if needs != "none" and set(needs.split()) - set(tags[key].split())
    ]
