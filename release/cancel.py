"""Cancels an update of the service that can't succeed, before ECS and CloudFormation give up.

ECS counts failed tasks, and retries those that Fargate can't place. CloudFormation waits for up to 36 hours, because
the service has a bake time. A first deployment can't be cancelled.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from release.aws import Aws
from release.aws_errors import explain_aws_error
from release.display import note
from release.evidence import IMAGE_GONE, WRONG_PLATFORM, Evidence, StoppedTask

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import ServiceTypeDef

STALLED_SECONDS = 15 * 60.0
"""A rollout without progress for this long is cancelled. A task starts within a minute; the bake takes up to three."""
_CRASHES = 2
"""Tasks with the same exit code. One may have met a failure that passes."""
_UNUSABLE_IMAGE = re.compile(f"{WRONG_PLATFORM}|{IMAGE_GONE}", re.IGNORECASE)
"""A denied pull may succeed once new permissions take effect, and an unreachable registry once it responds; the circuit
breaker counts those."""


@dataclass(frozen=True)
class Rollout:
    """The service's newest ECS deployment, while it is in progress."""

    id: str
    running: int
    """Number of its tasks that run, healthy or not."""
    replaced: int
    """Number of running tasks of earlier deployments."""

    @classmethod
    def of(cls, service: ServiceTypeDef) -> Rollout | None:
        """Return the rollout in progress; None if there is none, or if ECS is already rolling back."""
        if any(each.get("rolloutState") == "FAILED" for each in service["deployments"]):
            return None
        for each in service["deployments"]:
            if each["status"] == "PRIMARY" and each.get("rolloutState") == "IN_PROGRESS":
                running = sum(other["runningCount"] for other in service["deployments"])
                return cls(each["id"], each["runningCount"], running - each["runningCount"])
        return None


def proof_of_failure(rollout: Rollout, stopped: Iterable[StoppedTask]) -> str | None:
    """Return why a rollout can't succeed; None while it may.

    Tasks that Spot, a person or the scheduler stopped prove nothing, and neither does missing capacity.
    """
    own = [task for task in stopped if task.deployment == rollout.id]
    for task in own:
        if task.crashed or task.stop_code == "TaskFailedToStart":
            for text in (*task.reasons, *task.log_lines):
                if _UNUSABLE_IMAGE.search(text):
                    return f"no task can start: {text}"
    codes = Counter(task.exit_code for task in own if task.crashed)
    for code, times in codes.items():
        if code is not None and times >= _CRASHES and not rollout.running:
            return f"{times} tasks have exited with status {code}, and none runs"
    return None


class Progress:
    """Measures how long a rollout has neither gained a task nor replaced one."""

    def __init__(self) -> None:
        self._best: Rollout | None = None
        self._since = 0.0

    def stalled_seconds(self, rollout: Rollout, *, now: float) -> float:
        best = self._best
        if not best or best.id != rollout.id:
            self._best, self._since = rollout, now
        elif rollout.running > best.running or rollout.replaced < best.replaced:
            running, replaced = max(rollout.running, best.running), min(rollout.replaced, best.replaced)
            self._best, self._since = Rollout(rollout.id, running, replaced), now
        return now - self._since


class Guard:
    """Cancels the update that a change set started, if its rollout is hopeless."""

    def __init__(self, aws: Aws, *, change_set: str) -> None:
        """`change_set` is the name of the change set."""
        self._aws = aws
        self._change_set = change_set
        self._earlier: set[str] | None = None
        """IDs of the ECS deployments before the update."""
        self._progress = Progress()
        self._refused = False

    def check(self, service: ServiceTypeDef, evidence: Evidence) -> None:
        """Cancel the update at most once, and record why in the evidence."""
        if self._earlier is None:
            self._earlier = {each["id"] for each in service["deployments"]}
        rollout = Rollout.of(service)
        if evidence.cancelled or self._refused or not rollout or rollout.id in self._earlier:
            return
        reason = proof_of_failure(rollout, evidence.stopped)
        if not reason and self._progress.stalled_seconds(rollout, now=monotonic()) >= STALLED_SECONDS:
            reason = f"the rollout made no progress for {STALLED_SECONDS / 60:.0f} minutes"
        if not reason:
            return
        try:
            if cancel_update(self._aws, self._change_set):
                evidence.cancelled = reason
                note(f"cancelling the update: {reason}")
        except ClientError as error:
            self._refused = True  # ECS and CloudFormation give up later
            note(f"the update can't succeed ({reason}), but cancelling it failed: {explain_aws_error(error)}")


def cancel_update(aws: Aws, change_set: str) -> bool:
    """Cancel the update of the service's stack in progress; return False if another change set started it."""
    (stack,) = aws.cloudformation.describe_stacks(StackName=aws.stage.service_stack)["Stacks"]
    ours = f":changeSet/{change_set}/" in stack.get("ChangeSetId", "")
    if not ours or stack["StackStatus"] != "UPDATE_IN_PROGRESS":
        return False
    aws.cloudformation.cancel_update_stack(StackName=aws.stage.service_stack, ClientRequestToken=change_set)
    return True
