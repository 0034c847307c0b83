"""Observations during a deployment that explain its failure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.config import WORKLOAD

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import TaskTypeDef

WRONG_PLATFORM = r"exec format error|descriptor matching platform|no matching manifest"
IMAGE_GONE = r"CannotPull.*(not found|manifest unknown|does not exist)"
"""Patterns of messages about an image that no retry can start."""
_TARGET_GROUP = re.compile(r"arn:\S+:targetgroup/([^/\s)]+)/\w+")


@dataclass
class StoppedTask:
    """A task that stopped during the deployment."""

    id: str
    stop_code: str
    reasons: tuple[str, ...]
    """ECS's stopped reason, then that of the service's container, such as OutOfMemoryError."""
    exit_code: int | None
    """Of the service's container. A task is STOPPED before its containers have exited, so it may be missing."""
    log_lines: tuple[str, ...] = ()
    """Its last log lines, oldest first."""
    deployment: str = ""
    """ID of the ECS deployment that started it."""

    @classmethod
    def of(cls, task: TaskTypeDef) -> StoppedTask:
        container = {each["name"]: each for each in task["containers"]}.get(WORKLOAD.container, {})
        reasons = (task.get("stoppedReason", ""), container.get("reason", ""))
        return cls(
            id=task["taskArn"].rpartition("/")[2],
            stop_code=task.get("stopCode", ""),
            reasons=tuple(shorten_arns(reason) for reason in reasons if reason),
            exit_code=container.get("exitCode"),
            deployment=task.get("startedBy", ""),
        )

    @property
    def failed(self) -> bool:
        """Whether it stopped by itself or by ECS's judgment, not by Spot, by Fargate's maintenance or by hand."""
        return self.stop_code not in {"SpotInterruption", "TerminationNotice", "InfrastructureHealth", "UserInitiated"}

    @property
    def crashed(self) -> bool:
        return self.stop_code == "EssentialContainerExited"

    @property
    def failed_health_checks(self) -> bool:
        return any("health checks" in reason for reason in self.reasons)

    @property
    def ending(self) -> str:
        code = [] if self.exit_code is None else [f"{WORKLOAD.container}: exit code {self.exit_code}"]
        return "; ".join([*self.reasons, *code]) or self.stop_code or "no reason given"


@dataclass
class Evidence:
    """Observations during a deployment, written by one thread and read after it has ended."""

    events: list[str] = field(default_factory=list)
    """Service events, oldest first; some contain the load balancer's reasons for unhealthy targets."""
    rollouts_failed: list[str] = field(default_factory=list)
    """ECS's reasons for failed deployments."""
    stopped: list[StoppedTask] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Log lines with the reasons for 5xx responses, of any task."""
    cancelled: str | None = None
    """Why the release cancelled the update, if it did."""
    failure: Exception | None = None
    """Why the last poll failed, if it did."""


def shorten_arns(text: str) -> str:
    """Replace the ARNs of target groups with their names; ARNs make lines too long."""
    return _TARGET_GROUP.sub(r"\1", text)
