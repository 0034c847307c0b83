"""Collects evidence during a deployment, because it may be gone afterwards.

The rollback of a first deployment deletes the service, and ECS removes stopped tasks within an hour.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from release.aws import Aws

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import ServiceTypeDef, TaskTypeDef

POLL_SECONDS = 2.0
LOG_LINES = 20
"""Number of last log lines to keep of a stopped task."""
PROBE_SECONDS = 0.5
"""Interval between probes: the 5xx alarm needs five errors a minute, and old tasks serve about half of the probes."""
REQUEST_SECONDS = 5.0
"""Timeout of a request to the stage."""
THREAD = 2**53 - 1
"""Highest content_id that the API accepts, unlikely to be a real thread. Listing it reads from the store."""
ERRORS = '{ $.logger = "comments.errors" }'
"""Filter pattern of the log lines with the reason for a 5xx response."""
_ERRORS_READ = 100
_TASKS_READ = 3
"""Number of last stopped tasks whose log is read again at the end; all usually fail in the same way."""
_SCALED_IN = "Scaling activity initiated by"
_TARGET_GROUP = re.compile(r"arn:\S+:targetgroup/([^/\s)]+)/\w+")


@dataclass(frozen=True)
class StoppedTask:
    """A task of the new deployment that stopped."""

    id: str
    stop_code: str
    reasons: tuple[str, ...]
    """ECS's stopped reason, then those of the containers, such as OutOfMemoryError."""
    exit_codes: Mapping[str, int]
    """By container. A task is STOPPED before its containers have exited, so some may be missing."""
    definition: str
    """ARN of the task definition, which names the log group."""
    log_lines: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: TaskTypeDef) -> StoppedTask:
        containers = task["containers"]
        reasons = [task.get("stoppedReason", ""), *(container.get("reason", "") for container in containers)]
        return cls(
            id=task["taskArn"].rsplit("/", 1)[-1],
            stop_code=task.get("stopCode", ""),
            reasons=tuple(shorten(reason) for reason in reasons if reason),
            exit_codes={
                container["name"]: container["exitCode"] for container in containers if "exitCode" in container
            },
            definition=task["taskDefinitionArn"],
        )

    @property
    def failed_health_checks(self) -> bool:
        return any("health checks" in reason for reason in self.reasons)

    @property
    def failed(self) -> bool:
        """Whether the task itself failed, rather than being stopped by the rollback."""
        return self.stop_code != "ServiceSchedulerInitiated" or self.failed_health_checks

    @property
    def ending(self) -> str:
        codes = [f"{name}: exit code {code}" for name, code in self.exit_codes.items()]
        return "; ".join([*self.reasons, *codes]) or self.stop_code or "no reason given"


@dataclass
class Evidence:
    """Observations during a deployment, written by one thread and read after it has ended."""

    events: list[str] = field(default_factory=list)
    """Service events, oldest first."""
    rollouts_failed: dict[str, str] = field(default_factory=dict)
    """ECS's reasons by deployment."""
    stopped: dict[str, StoppedTask] = field(default_factory=dict)
    """By task ID, oldest first."""
    unhealthy: set[str] = field(default_factory=set)
    """The load balancer's descriptions of unhealthy targets."""
    errors: tuple[str, ...] = ()
    """Log lines with the reasons for 5xx responses, of any task."""
    failure: BotoCoreError | ClientError | None = None
    """Why the last poll failed, if it did."""


class Watch:
    """Collects evidence from `__enter__` to `__exit__`, excluding earlier events, tasks and deployments."""

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
        if service := self._service():
            self._known_events = {event["id"] for event in service.get("events", [])}
            self._known_deployments = {
                deployment["id"]
                for deployment in service["deployments"]
                if deployment.get("rolloutState") != "IN_PROGRESS"  # include that of an interrupted release
            }
        self._known_tasks = set(self._stopped_arns())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if kind is not None and issubclass(kind, Exception):  # not after Ctrl-C
            self._poll_once()
            self._read_logs()

    def _poll(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._poll_once()

    def _poll_once(self) -> None:
        """Poll once. A failure doesn't stop the deployment; it is kept for the explanation."""
        try:
            if service := self._service():
                self._record_service(service)
                self._record_targets(service)
            arns = [arn for arn in self._stopped_arns() if arn not in self._known_tasks]
            if arns:
                tasks = self._aws.ecs.describe_tasks(cluster=self._aws.stage.cluster, tasks=arns)["tasks"]
                for task in sorted(tasks, key=lambda task: str(task.get("stoppedAt", ""))):
                    self._record_task(task)
            self.evidence.failure = None
        except (BotoCoreError, ClientError) as error:
            self.evidence.failure = error

    def _record_service(self, service: ServiceTypeDef) -> None:
        for event in reversed(service.get("events", [])):  # ECS returns the newest first
            if event["id"] not in self._known_events:
                self._known_events.add(event["id"])
                message = shorten(event["message"])
                if message not in self.evidence.events:  # ECS repeats it for every task
                    self.evidence.events.append(message)
                    self._note(message)
        for deployment in service["deployments"]:
            if deployment["id"] not in self._known_deployments and deployment.get("rolloutState") == "FAILED":
                self.evidence.rollouts_failed[deployment["id"]] = deployment.get("rolloutStateReason", "FAILED")

    def _record_targets(self, service: ServiceTypeDef) -> None:
        for attached in service.get("loadBalancers", []):
            arn = attached["targetGroupArn"]
            for target in self._aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]:
                health = target["TargetHealth"]
                if health.get("State") == "unhealthy":
                    self.evidence.unhealthy.add(health.get("Description") or health.get("Reason") or "unhealthy")

    def _record_task(self, task: TaskTypeDef) -> None:
        self._known_tasks.add(task["taskArn"])
        replaced = task.get("stopCode") == "ServiceSchedulerInitiated" and (
            task.get("startedBy") in self._known_deployments
        )
        if replaced or task.get("stoppedReason", "").startswith(_SCALED_IN):
            return
        stopped = StoppedTask.of(task)
        self._note(f"task {stopped.id} stopped: {stopped.ending}")
        self.evidence.stopped[stopped.id] = self._with_log(stopped)

    def _read_logs(self) -> None:
        """Read logs again, because the last lines of a task arrive after it has stopped."""
        try:
            for stopped in list(self.evidence.stopped.values())[-_TASKS_READ:]:
                self.evidence.stopped[stopped.id] = self._with_log(stopped)
            self.evidence.errors = error_lines(self._aws, since=self._began)
        except (BotoCoreError, ClientError) as error:
            self.evidence.failure = error

    def _with_log(self, stopped: StoppedTask) -> StoppedTask:
        return replace(stopped, log_lines=last_log_lines(self._aws, task=stopped.id, definition=stopped.definition))

    def _service(self) -> ServiceTypeDef | None:
        """Return the service; None before its first deployment and after the rollback of its first deployment."""
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


class ProbeTraffic:
    """Sends requests during a deployment, so that its alarms have data even without other traffic."""

    def __init__(self, base_url: str | None) -> None:
        """Without an address, as before the first deployment, send nothing."""
        self._url = f"{base_url}/api/comment/list/{THREAD}" if base_url else None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._url:
            threading.Thread(target=self._send, args=(self._url,), name="probe-traffic", daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._ended.set()

    def _send(self, url: str) -> None:
        """Send requests until the end. The responses are ignored; the alarms evaluate them."""
        while not self._ended.wait(PROBE_SECONDS):
            with suppress(OSError, http.client.HTTPException):
                get(url)


def get(url: str) -> tuple[int, bytes]:
    """Return status and body of a response; raise OSError or HTTPException if there is none."""
    request = urllib.request.Request(url, headers={"User-Agent": "comments-release"})  # noqa: S310  # http or https
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310  # http or https
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def last_log_lines(aws: Aws, *, task: str, definition: str, lines: int = LOG_LINES) -> tuple[str, ...]:
    """Return the last log lines of a task by its ID, oldest first; empty if it wrote none."""
    described = aws.ecs.describe_task_definition(taskDefinition=definition)
    for container in described["taskDefinition"]["containerDefinitions"]:
        options = container.get("logConfiguration", {}).get("options", {})
        if "awslogs-group" not in options:
            continue
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task}"
        with suppress(aws.logs.exceptions.ResourceNotFoundException):  # the stream is created with its first line
            events = aws.logs.get_log_events(
                logGroupName=options["awslogs-group"], logStreamName=stream, limit=lines, startFromHead=False
            )["events"]
            if events:
                return tuple(event["message"].rstrip() for event in events)
    return ()


def error_lines(aws: Aws, *, since: float) -> tuple[str, ...]:
    """Return the log lines with the reasons for 5xx responses, of any task; `since` is a Unix time."""
    try:
        found = aws.logs.filter_log_events(
            logGroupName=aws.stage.app_log_group, startTime=int(since * 1000), filterPattern=ERRORS, limit=_ERRORS_READ
        )
    except aws.logs.exceptions.ResourceNotFoundException:
        return ()
    return tuple(event["message"].rstrip() for event in found["events"])


def shorten(text: str) -> str:
    """Replace the ARNs of target groups with their names; ARNs make lines too long."""
    return _TARGET_GROUP.sub(r"\1", text)
