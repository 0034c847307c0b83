"""Watches a service while it is being deployed, since afterwards what explains a failure may be gone.

A rollback of a first deployment deletes the service, and ECS forgets stopped tasks within the hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from release.aws import Aws, explained
from release.evidence import Evidence, StoppedTask, shortened
from release.tail import errors, tail

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import ServiceTypeDef, TaskTypeDef

POLL_SECONDS = 2.0
LOG_LINES = 20  # of a task that stopped
_SCALED_IN = "Scaling activity initiated by"
_LOGS_FOR = 3  # tasks, the last ones; they die of the same thing


class Watch:
    """Gathers evidence from `__enter__` to `__exit__`; what was there before is not part of it."""

    def __init__(self, aws: Aws, note: Callable[[str], None]) -> None:
        self.evidence = Evidence()
        self._aws = aws
        self._note = note
        self._began = time.time()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="watch", daemon=True)
        self._known_events: set[str] = set()
        self._known_tasks: set[str] = set()
        self._known_deployments: set[str] = set()

    def __enter__(self) -> Self:
        service = self._service()
        if service:
            self._known_events = {event["id"] for event in service.get("events", [])}
            self._known_deployments = {
                deployment["id"]
                for deployment in service["deployments"]
                if deployment.get("rolloutState")
                != "IN_PROGRESS"  # what an interrupted release began is ours to explain
            }
        self._known_tasks = set(self._stopped_arns())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if kind is not None and issubclass(kind, Exception):  # nobody waits for a last look after Ctrl-C
            self._look_safely()
            self._fetch_logs()

    def _poll(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._look_safely()

    def _look_safely(self) -> None:
        """Never end the deployment because it could not be watched: the failure is kept, and tried again."""
        try:
            self._look()
            self.evidence.blind = None
        except (BotoCoreError, ClientError) as error:
            self.evidence.blind = explained(error).summary

    def _look(self) -> None:
        service = self._service()
        if service:
            self._see_events(service)
            self._see_rollouts(service)
            self._see_targets(service)
        arns = [arn for arn in self._stopped_arns() if arn not in self._known_tasks]
        if arns:
            tasks = self._aws.ecs.describe_tasks(cluster=self._aws.stage.cluster, tasks=arns)["tasks"]
            for task in sorted(tasks, key=lambda task: str(task.get("stoppedAt", ""))):
                self._see_task(task)

    def _see_events(self, service: ServiceTypeDef) -> None:
        for event in reversed(service.get("events", [])):  # newest first, as ECS gives them
            if event["id"] not in self._known_events:
                self._known_events.add(event["id"])
                message = shortened(event["message"])
                if message not in self.evidence.events:  # ECS says the same of every task
                    self.evidence.events.append(message)
                    self._note(message)

    def _see_rollouts(self, service: ServiceTypeDef) -> None:
        for deployment in service["deployments"]:
            if deployment["id"] not in self._known_deployments and deployment.get("rolloutState") == "FAILED":
                self.evidence.rollouts_failed[deployment["id"]] = deployment.get("rolloutStateReason", "FAILED")

    def _see_targets(self, service: ServiceTypeDef) -> None:
        for balancer in service.get("loadBalancers", []):
            arn = balancer["targetGroupArn"]
            for target in self._aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]:
                health = target["TargetHealth"]
                if health.get("State") == "unhealthy":
                    self.evidence.unhealthy.add(health.get("Description") or health.get("Reason") or "unhealthy")

    def _see_task(self, task: TaskTypeDef) -> None:
        self._known_tasks.add(task["taskArn"])
        if self._is_replaced(task):
            return
        stopped = StoppedTask.of(task)
        self._note(f"task {stopped.id} stopped: {stopped.ending}")
        self.evidence.stopped[stopped.id] = replace(stopped, log_lines=self._log_tail(stopped))

    def _is_replaced(self, task: TaskTypeDef) -> bool:
        """Whether ECS stopped it in good order: a healthy one too many, or of the deployment before this one."""
        by_scheduler = task.get("stopCode") == "ServiceSchedulerInitiated"
        former = task.get("startedBy") in self._known_deployments
        return (by_scheduler and former) or task.get("stoppedReason", "").startswith(_SCALED_IN)

    def _fetch_logs(self) -> None:
        """Look again: the last lines of a task arrive after it has stopped, those that it says of its store before."""
        try:
            for stopped in list(self.evidence.stopped.values())[-_LOGS_FOR:]:
                self.evidence.stopped[stopped.id] = replace(stopped, log_lines=self._log_tail(stopped))
            self.evidence.errors = errors(self._aws, since=self._began)
        except (BotoCoreError, ClientError) as error:
            self.evidence.blind = explained(error).summary

    def _log_tail(self, stopped: StoppedTask) -> tuple[str, ...]:
        return tail(self._aws, task_id=stopped.id, definition=stopped.definition, lines=LOG_LINES)

    def _service(self) -> ServiceTypeDef | None:
        """Return the service, None before its first deployment and after that was rolled back."""
        stage = self._aws.stage
        try:
            found = self._aws.ecs.describe_services(cluster=stage.cluster, services=[stage.service])["services"]
        except self._aws.ecs.exceptions.ClusterNotFoundException:
            return None
        return next((service for service in found if service["status"] == "ACTIVE"), None)

    def _stopped_arns(self) -> list[str]:
        try:
            return self._aws.ecs.list_tasks(cluster=self._aws.stage.cluster, desiredStatus="STOPPED")["taskArns"]
        except self._aws.ecs.exceptions.ClusterNotFoundException:
            return []
