"""Collects evidence during a deployment, because it may be gone afterwards.

The rollback of a first deployment deletes the service, and ECS removes stopped tasks within an hour.
"""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from infra.config import PROJECT, WORKLOAD
from release.aws import Aws
from release.cancel import Guard
from release.display import progress
from release.evidence import Evidence, StoppedTask, shorten_arns
from release.logs import error_lines, last_log_lines

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import ServiceTypeDef, TaskTypeDef

POLL_SECONDS = 2.0
PROBE_SECONDS = 0.4
"""Interval between probes, 150 a minute: the `latency` alarm needs 100. Old tasks serve about half of them."""
_PROBES = 32
"""Probes at a time. A slow version must not slow them down, so this is more than start within REQUEST_SECONDS."""
REQUEST_SECONDS = 5.0
"""Timeout of a request to the stage."""
TASKS_KEPT = 3600.0
"""How long ECS keeps stopped tasks, in seconds."""
_TASKS_READ = 3
"""Number of last stopped tasks whose log is read; all usually fail in the same way."""


class Watch:
    """Collects evidence from `__enter__` to `__exit__`, excluding what was there before.

    With the name of its change set, it cancels a deployment of the service that can't succeed. `look_back` collects
    what ECS still has of an earlier deployment: a hundred events, and tasks for an hour.
    """

    def __init__(self, aws: Aws, *, since: float | None = None, change_set: str | None = None) -> None:
        """`since` is the Unix time at which the deployment began; None is now."""
        self.evidence = Evidence()
        self._aws = aws
        self._guard = Guard(aws, change_set=change_set) if change_set else None
        self._began = since or time.time()
        self._oldest = datetime.fromtimestamp(int(since or 0), UTC)  # a task's times may lack fractions
        self._seen: set[str] = set()
        """IDs of events, failed deployments and stopped tasks."""
        self._service: ServiceTypeDef | None = None
        self._baking_since: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll_until_the_end, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._poll(final=True)
        if self.evidence.failure:  # without this baseline, earlier failures would look new
            raise self.evidence.failure
        self.evidence = Evidence()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if kind is not None and issubclass(kind, Exception):  # not after Ctrl-C
            self.look_back()

    def look_back(self) -> Evidence:
        self._poll(final=True)
        self._read_logs()
        return self.evidence

    def _poll_until_the_end(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            for line in self._poll()[-1:]:
                progress("ECS", line)
            if self._service:
                progress("tasks", describe_tasks(self._service))
                if bake := self._describe_bake(self._service):
                    progress("bake", bake)
                with suppress(BotoCoreError, ClientError):  # only shown
                    progress("targets", self._describe_targets(self._service))

    def _poll(self, *, final: bool = False) -> list[str]:
        """Record what is new and return it. A failure doesn't stop the deployment; it is kept for the explanation.

        Unless this is the `final` poll, a crashed task is recorded once its exit code is known.
        """
        news: list[str] = []
        stage, ecs = self._aws.stage, self._aws.ecs
        try:
            # The cluster doesn't exist before the first deployment, nor after its rollback.
            with suppress(ecs.exceptions.ClusterNotFoundException):
                described = ecs.describe_services(cluster=stage.cluster, services=[stage.service])["services"]
                active = [service for service in described if service["status"] == "ACTIVE"]
                for service in active:
                    news += self._record_service(service)
                    self._service = service
                pages = ecs.get_paginator("list_tasks").paginate(cluster=stage.cluster, desiredStatus="STOPPED")
                for new in ([arn for arn in page["taskArns"] if arn not in self._seen] for page in pages):
                    for task in ecs.describe_tasks(cluster=stage.cluster, tasks=new)["tasks"] if new else ():
                        stopped = StoppedTask.of(task)
                        if final or not stopped.crashed or stopped.exit_code is not None:
                            self._seen.add(task["taskArn"])
                            news += self._record_task(task, stopped)
                if self._guard:
                    for stopped in self.evidence.stopped[-_TASKS_READ:]:
                        if stopped.crashed:
                            stopped.log_lines = stopped.log_lines or last_log_lines(self._aws, stopped.id)
                    for service in active:
                        self._guard.check(service, self.evidence)
            self.evidence.failure = None
        except Exception as error:  # noqa: BLE001  # a failing read must not end the watch, nor hide what it explains
            self.evidence.failure = error
        return news

    def _describe_bake(self, service: ServiceTypeDef) -> str | None:
        """Return how long alarms are still watched after the rollout; None during it."""
        (new,) = (each for each in service["deployments"] if each["status"] == "PRIMARY")
        if new.get("rolloutState") != "IN_PROGRESS" or len(service["deployments"]) > 1:
            self._baking_since = None
            return None
        self._baking_since = self._baking_since or time.monotonic()
        seconds = 60 * service["deploymentConfiguration"].get("bakeTimeInMinutes", 0)
        return f"alarms are watched for another {max(0, seconds - time.monotonic() + self._baking_since):.0f} s"

    def _describe_targets(self, service: ServiceTypeDef) -> str:
        """Return the number of targets by health, such as `2 healthy, 1 draining`."""
        health: Counter[str] = Counter()
        for group in (each["targetGroupArn"] for each in service["loadBalancers"]):
            found = self._aws.untyped("elbv2").describe_target_health(TargetGroupArn=group)
            health.update(each["TargetHealth"]["State"] for each in found["TargetHealthDescriptions"])
        return ", ".join(f"{number} {state}" for state, number in health.most_common()) or "none"

    def _is_new(self, identifier: str) -> bool:
        is_new = identifier not in self._seen
        self._seen.add(identifier)
        return is_new

    def _record_service(self, service: ServiceTypeDef) -> Iterator[str]:
        evidence = self.evidence
        for event in reversed(service.get("events", [])):  # ECS returns the newest first
            message = shorten_arns(event["message"])
            if (
                event["createdAt"] >= self._oldest and self._is_new(event["id"]) and message not in evidence.events
            ):  # ECS repeats it for every task
                evidence.events.append(message)
                yield message
        for deployment in service["deployments"]:
            failed = deployment.get("rolloutState") == "FAILED" and deployment["createdAt"] >= self._oldest
            if failed and self._is_new(deployment["id"]):
                evidence.rollouts_failed.append(deployment.get("rolloutStateReason", "FAILED"))

    def _record_task(self, task: TaskTypeDef, stopped: StoppedTask) -> Iterator[str]:
        """Record a task that has failed, rather than being stopped by the scheduler."""
        if task.get("stoppedAt", self._oldest) < self._oldest or task.get("group", "").startswith("family:"):
            return  # it stopped earlier, or is none of the service's
        if stopped.stop_code != "ServiceSchedulerInitiated" or stopped.failed_health_checks:
            self.evidence.stopped.append(stopped)
            yield f"task {stopped.id} stopped: {stopped.ending}"

    def _read_logs(self) -> None:
        try:
            for task in self.evidence.stopped[-_TASKS_READ:]:
                task.log_lines = last_log_lines(self._aws, task.id)
            self.evidence.errors = error_lines(self._aws, since=self._began)
        except Exception as error:  # noqa: BLE001  # as above
            self.evidence.failure = error


@contextmanager
def probe_traffic(base_url: str | None) -> Iterator[None]:
    """Send requests at a fixed rate during a deployment, so that its alarms have data even without other traffic.

    The responses are ignored; the alarms evaluate them. A first deployment has no address yet.
    """
    ended, lock = threading.Event(), threading.Lock()
    url = f"{base_url}{WORKLOAD.probe_path or WORKLOAD.health_path}"
    responses: Counter[bool] = Counter()

    def send() -> None:
        succeeded = False
        with suppress(OSError, http.client.HTTPException):
            succeeded = fetch(url)[0] < HTTPStatus.INTERNAL_SERVER_ERROR
        with lock:
            responses[succeeded] += 1
            progress("probes", f"{responses[True]} succeeded, {responses[False]} failed")

    def send_until_the_end() -> None:
        with ThreadPoolExecutor(_PROBES, "probe") as pool:
            while not ended.wait(PROBE_SECONDS):
                pool.submit(send)

    if base_url:
        threading.Thread(target=send_until_the_end, name="probes", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def describe_tasks(service: ServiceTypeDef) -> str:
    """Return the number of tasks of the newest deployment, and of older ones if there are any."""
    new = next(each for each in service["deployments"] if each["status"] == "PRIMARY")
    parts = [f"{new['runningCount']} of {new['desiredCount']} running"]
    parts += [f"{new['pendingCount']} pending"] if new["pendingCount"] else []
    parts += [f"{new['failedTasks']} failed"] if new.get("failedTasks") else []
    old = sum(each["runningCount"] for each in service["deployments"] if each is not new)
    return ", ".join(parts) + (f"; {old} of the previous version" if old else "")


def fetch(url: str, *, post: bytes | None = None) -> tuple[int, bytes]:
    """Return status and body of the response to a GET, or to a POST with this body.

    Raises OSError or HTTPException if there is no response.
    """
    request = urllib.request.Request(url, post, {"User-Agent": f"{PROJECT}-release"})  # noqa: S310  # http or https
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310  # http or https
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
