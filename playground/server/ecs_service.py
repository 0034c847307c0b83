"""ECS: the service scheduler, which starts and stops tasks, and the service API calls that wake it."""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import ecs

from playground.server import ecs_deployment as rollout
from playground.server import ecs_tasks as tasks
from playground.server.patching import Record, aws_scope, patch
from playground.server.targets import TARGETS, Health

STEP_SECONDS = 0.5
MISSED_EXITS_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 10.0  # AWS: throttles restarts of failing tasks for up to minutes

WAKE = threading.Event()
STEP = threading.Lock()
"""Serializes scheduler steps and service updates."""


def run_forever() -> None:
    """Run a step after every change, and at least every half second."""
    checked = 0.0
    while True:
        WAKE.wait(STEP_SECONDS)
        WAKE.clear()
        with aws_scope():
            if time.monotonic() - checked > MISSED_EXITS_SECONDS:
                checked = time.monotonic()
                tasks.find_missed_exits()
            for service in ecs._services.values():
                if service["status"] in {"ACTIVE", "DRAINING"}:
                    step(service)


def tasks_of(service: Record) -> list[Record]:
    group = f"service:{service['serviceName']}"
    return [t for t in ecs._tasks.values() if t["group"] == group and t["clusterArn"] == service["clusterArn"]]


def step(service: Record) -> None:
    """Compare a service's state with its configuration, and start or stop tasks to match."""
    with STEP:
        mine = tasks_of(service)
        live = [task for task in mine if tasks.is_live(task)]
        primary = ecs._primary_deployment(service)
        if service["status"] == "DRAINING" or primary is None:
            stop_all(service, mine, live)
            return
        for task in live:
            register(service, task)
            check_health(service, task)
        rollout.check_alarms(service, primary)
        primary = ecs._primary_deployment(service)
        live = [task for task in mine if tasks.is_live(task)]
        scale(service, primary, live)
        rollout.drop_finished(service, mine)


def stop_all(service: Record, mine: list[Record], live: list[Record]) -> None:
    """Stop a deleted service's tasks. AWS: the service is DRAINING until its last task has stopped."""
    for task in live:
        tasks.stop(task, reason="Service deleted", code="ServiceSchedulerInitiated")
    if all(task["lastStatus"] == "STOPPED" for task in mine):
        service["status"] = "INACTIVE"


def register(service: Record, task: Record) -> None:
    """Register a running task with its service's target groups."""
    ip = ecs._task_ip(task)
    if task["lastStatus"] != "RUNNING" or tasks.targets_of(task) or not ip:
        return
    task["_running_since"] = time.monotonic()
    for entry in service.get("loadBalancers") or []:
        tasks.targets_of(task).append(TARGETS.register(entry["targetGroupArn"], ip, int(entry["containerPort"])))
        rollout.add_event(service, f"registered 1 targets in (target-group {entry['targetGroupArn']})")


def healthy(task: Record) -> bool:
    return task["lastStatus"] == "RUNNING" and all(t.health is Health.HEALTHY for t in tasks.targets_of(task))


def check_health(service: Record, task: Record) -> None:
    """Record a task that has become healthy; stop a task that is still unhealthy after the grace period."""
    if task["lastStatus"] != "RUNNING":
        return
    if healthy(task):
        if not task.get("_startup_stable"):
            task["_startup_stable"] = True
            rollout.count_success(service, ecs._deployment_for_task(service, task))
        return
    age = time.monotonic() - task.get("_running_since", time.monotonic())
    unhealthy = next((t for t in tasks.targets_of(task) if t.health is Health.UNHEALTHY), None)
    if unhealthy is None or age < int(service.get("healthCheckGracePeriodSeconds") or 0):
        return
    reason = f"Task failed ELB health checks in (target-group {unhealthy.group})"
    description = unhealthy.description  # read before stop() overwrites it
    if tasks.stop(task, reason=reason, code="ServiceSchedulerInitiated"):
        rollout.add_event(
            service,
            f"(port {unhealthy.port}) is unhealthy in (target-group {unhealthy.group}) due to (reason {description}).",
        )
        rollout.count_failure(service, task)


def scale(service: Record, primary: Record, live: list[Record]) -> None:
    """Start and stop tasks within minimumHealthyPercent and maximumPercent of the desired count."""
    desired = int(service["desiredCount"])
    primary["desiredCount"] = 0 if primary["rolloutState"] == "FAILED" else desired
    configuration = service.get("deploymentConfiguration") or {}
    lower = math.ceil(desired * int(configuration.get("minimumHealthyPercent", 100)) / 100)
    upper = max(1, desired * int(configuration.get("maximumPercent", 200)) // 100)
    current = [task for task in live if task.get("_deployment_id") == primary["id"]]
    former = [task for task in live if task.get("_deployment_id") != primary["id"]]
    missing = primary["desiredCount"] - len(current)
    if missing > 0:
        start(service, primary, min(missing, upper - len(live)))
    stop_surplus(service, current, former, surplus=-missing, lower=lower)
    if primary["rolloutState"] == "IN_PROGRESS":
        if missing == 0 and not former and all(healthy(task) for task in current):
            rollout.steady(service, primary)
        else:
            rollout.unsteady(primary)


def stop_surplus(service: Record, current: list[Record], former: list[Record], *, surplus: int, lower: int) -> None:
    """Stop surplus tasks, starting with those of failed deployments and unhealthy ones; keep the healthy minimum."""
    ready = sum(healthy(task) for task in current + former)
    leaving = [(task, "Service scaling down") for task in sorted(current, key=by_readiness)[: max(0, surplus)]]
    leaving += [(task, "Deployment replaced by a newer one") for task in sorted(former, key=by_readiness)]
    stopped = []
    for task, reason in leaving:
        if healthy(task):
            if ready <= lower:
                continue
            ready -= 1
        if tasks.stop(task, reason=reason, code="ServiceSchedulerInitiated"):
            stopped.append(task)
    if stopped:
        names = " ".join(f"(task {task['taskArn'].rsplit('/', 1)[-1]})" for task in stopped)
        rollout.add_event(service, f"has begun draining connections on {len(stopped)} tasks.")
        rollout.add_event(service, f"has stopped {len(stopped)} running tasks: {names}.")


def by_readiness(task: Record) -> tuple[bool, str]:
    """Sort key: unhealthy tasks first, then the oldest."""
    return healthy(task), str(task["createdAt"])


def start(service: Record, primary: Record, number: int) -> None:
    """Start tasks, with a backoff that grows with each failure."""
    pause = min(service.get("_failures", 0), MAX_BACKOFF_SECONDS)
    if number <= 0 or time.monotonic() - service.get("_started", -MAX_BACKOFF_SECONDS) < pause:
        return
    service["_started"] = time.monotonic()
    before = {task["taskArn"] for task in tasks_of(service)}
    ecs._run_task(
        {
            "cluster": ecs._cluster_name_from_arn(service["clusterArn"]),
            "taskDefinition": primary["taskDefinition"],
            "count": number,
            "group": f"service:{service['serviceName']}",
            "startedBy": primary["id"],
            "launchType": service.get("launchType"),
            "capacityProviderStrategy": service.get("capacityProviderStrategy"),
            "platformVersion": service.get("platformVersion", ""),
            "networkConfiguration": service.get("networkConfiguration", {}),
            "_deploymentId": primary["id"],
        }
    )
    started = [task["taskArn"].rsplit("/", 1)[-1] for task in tasks_of(service) if task["taskArn"] not in before]
    names = " ".join(f"(task {name})" for name in started)
    rollout.add_event(service, f"has started {len(started)} tasks: {names}.")


@patch(ecs, "_reconcile_service_tasks", gap="no health checks, draining or events; `step` replaces it")
def reconcile_service_tasks(_cluster_name: str, _svc_key: str) -> None:
    WAKE.set()


@patch(ecs, "_complete_service_deployment", gap="as above")
def complete_service_deployment(_cluster_name: str, _svc_key: str, expected_deployment_id: str | None = None) -> None:
    """Do nothing: the scheduler completes deployments."""


@patch(ecs, "_sync_service_targets", gap="a task becomes a target as soon as its process runs")
def sync_service_targets(_cluster_name: str, _svc: Record) -> None:
    """Do nothing: the scheduler registers targets."""


@patch(ecs, "_record_service_task_failure", gap="only failures to start are counted")
def record_service_task_failure(task: Record, digest_resolution_failed: bool = False) -> None:
    cluster, name = ecs._cluster_name_from_arn(task["clusterArn"]), task.get("group", "").partition(":")[2]
    service = ecs._services.get(f"{cluster}/{name}")
    if service is not None and not digest_resolution_failed:
        rollout.count_failure(service, task)
        if task["stoppedReason"] and task["stopCode"] == "TaskFailedToStart":
            rollout.add_event(service, f"was unable to start a task. Reason: {task['stoppedReason']}")
    WAKE.set()


stock_update_service = ecs._update_service


@patch(ecs, "_update_service", gap="every update adds an event about a draining task")
def update_service(data: Record) -> Any:
    name, cluster = ecs._resolve_service_ref(data.get("service", "")), ecs._resolve_cluster_name(data.get("cluster"))
    service = ecs._services.get(f"{cluster}/{name[0]}") if name else None
    events = list(service["events"]) if service else []
    with STEP:
        response = stock_update_service(data)
        if service:
            service["events"] = events
    return response


patch(ecs._ACTION_MAP, "UpdateService", gap="UpdateService through the API, as above")(update_service)


@patch(ecs, "_delete_service", gap="tasks of a deleted service are killed without draining")
def delete_service(data: Record) -> Any:
    name, cluster = ecs._resolve_service_ref(data.get("service", "")), ecs._resolve_cluster_name(data.get("cluster"))
    service = ecs._services.get(f"{cluster}/{name[0]}") if name else None
    if service is None:
        return error_response_json("ServiceNotFoundException", "Service not found.", 400)
    if service["desiredCount"] and not data.get("force"):
        message = "The service cannot be stopped while it is scaled above 0."
        return error_response_json("InvalidParameterException", message, 400)
    if service["status"] == "ACTIVE":
        service.update(status="DRAINING", desiredCount=0)
    WAKE.set()
    return json_response({"service": ecs._sanitize(service)})


patch(ecs._ACTION_MAP, "DeleteService", gap="DeleteService through the API, as above")(delete_service)


stock_sanitize = ecs._sanitize


@patch(ecs, "_sanitize", gap="a response fails if the scheduler adds a field to the record meanwhile")
def sanitize(obj: Any) -> Any:
    return stock_sanitize(obj.copy() if isinstance(obj, dict) else obj)  # copy() is atomic


UNSUPPORTED = (
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "ExecuteCommand",
    "GetTaskProtection",
    "ListServiceDeployments",
    "UpdateTaskProtection",
)


def rejection(action: str) -> Callable[[Record], Any]:
    def reject(_data: Record) -> Any:
        return error_response_json("UnsupportedFeatureException", f"the playground does not support {action}", 400)

    return reject


for name in UNSUPPORTED:
    patch(ecs._ACTION_MAP, name, gap=f"{name} succeeds without doing anything")(rejection(name))
