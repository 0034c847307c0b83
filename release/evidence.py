"""What was seen of the tasks and targets while a deployment ran."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import TaskTypeDef


_TARGET_GROUP = re.compile(r"arn:\S+:targetgroup/([^/\s)]+)/\w+")


def shortened(text: str) -> str:
    """Return ECS's words with a target group's name for its ARN, which would fill the line."""
    return _TARGET_GROUP.sub(r"\1", text)


@dataclass(frozen=True)
class Container:
    """One container of a stopped task."""

    name: str
    exit_code: int | None
    reason: str
    """ECS's word, such as CannotPullContainerError or OutOfMemoryError; often empty."""


@dataclass(frozen=True)
class StoppedTask:
    """A task of the new deployment that did not last."""

    id: str
    stop_code: str
    reason: str
    containers: tuple[Container, ...]
    definition: str
    """The task definition's ARN; it knows where the log is."""
    log_lines: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: TaskTypeDef) -> StoppedTask:
        return cls(
            id=task["taskArn"].rsplit("/", 1)[-1],
            stop_code=task.get("stopCode", ""),
            reason=shortened(task.get("stoppedReason", "")),
            containers=tuple(
                Container(container["name"], container.get("exitCode"), container.get("reason", ""))
                for container in task["containers"]
            ),
            definition=task["taskDefinitionArn"],
        )

    @property
    def failed(self) -> bool:
        """Whether it ended for a reason of its own, and not since its deployment was given up."""
        return self.stop_code != "ServiceSchedulerInitiated" or "health checks" in self.reason

    @property
    def has_ended(self) -> bool:
        """Whether it was seen to its end: ECS calls a task stopped as soon as it is asked to stop."""
        return any(container.exit_code is not None for container in self.containers)

    @property
    def ending(self) -> str:
        """How it ended, in one line."""
        exits = ", ".join(
            f"{container.name}: {container.reason or 'no exit code'}"
            if container.exit_code is None
            else ", ".join([f"{container.name}: exit code {container.exit_code}", *container.reason.splitlines()])
            for container in self.containers
        )
        return f"{self.reason or self.stop_code or 'no reason given'}{f' ({exits})' if exits else ''}"

    @property
    def container_reasons(self) -> list[str]:
        return [container.reason for container in self.containers if container.reason]

    @property
    def everything_said(self) -> str:
        return " ".join([self.reason, *self.container_reasons, *self.log_lines])


@dataclass
class Evidence:
    """Gathered by one thread, read when it has ended."""

    events: list[str] = field(default_factory=list)
    """Of the service, oldest first."""
    rollouts_failed: dict[str, str] = field(default_factory=dict)
    """Deployment id to ECS's reason."""
    stopped: dict[str, StoppedTask] = field(default_factory=dict)
    """By task id, oldest first."""
    unhealthy: set[str] = field(default_factory=set)
    """What the balancer says about targets that fail their health check."""
    errors: tuple[str, ...] = ()
    """Log lines in which any task says why it answered a 5xx."""
    blind: str | None = None
    """Why the last look failed, if it did."""
