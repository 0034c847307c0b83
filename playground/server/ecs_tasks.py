"""ECS: stops tasks and detects exits: draining, stopping containers, recording exit codes and reasons."""

import threading
import time
from typing import Any

import docker.errors
from ministack.core.concurrency import resource_lock
from ministack.core.responses import error_response_json, json_response, now_iso
from ministack.services import ecs

from playground.server.load_balancer import drain
from playground.server.patching import Record, aws_scope, patch
from playground.server.targets import Target

STOP_SECONDS = 30  # AWS: default stopTimeout
KEPT_SECONDS = 3600  # AWS: stopped tasks remain visible for about an hour
LOG_TAIL_SECONDS = 3.0
KILLED = 137
SPOT_REASON = "Your Spot Task was interrupted."
"""AWS: stoppedReason after a Spot interruption. StopTask with this reason stands in for one."""

_targets: dict[str, list[Target]] = {}
_log_threads: dict[str, threading.Thread] = {}
_stopped_at: dict[str, float] = {}


def targets_of(task: Record) -> list[Target]:
    """Return the load balancer targets that the scheduler has registered for a task."""
    return _targets.setdefault(task["taskArn"], [])


def is_live(task: Record) -> bool:
    """Whether a task is starting or running, and its desired status is RUNNING."""
    return task["lastStatus"] in ecs._PRE_STOP_STATUSES and task["desiredStatus"] == "RUNNING"


def stop(task: Record, *, reason: str, code: str) -> bool:
    """Stop a task on a background thread; returns False if it is already stopping."""
    with resource_lock("ecs-task", task["taskArn"]):
        if not ecs._task_is_active(task["taskArn"], task):
            return False
        ecs._bump_task_version(task)
        task.update(desiredStatus="STOPPED", stoppedReason=reason, stopCode=code, stoppingAt=now_iso())
        if task["lastStatus"] == "RUNNING":
            task["lastStatus"] = "DEACTIVATING"
    _refresh(task)
    threading.Thread(target=_drain_and_stop, args=(task,), daemon=True, name=f"stop-{task['taskArn'][-8:]}").start()
    return True


def _drain_and_stop(task: Record) -> None:
    with aws_scope():
        drain(targets_of(task))
        task["lastStatus"] = "STOPPING"
        definition = ecs._task_defs.get(ecs._resolve_td_key(task["taskDefinitionArn"])) or {}
        timeouts = [int(c.get("stopTimeout") or STOP_SECONDS) for c in definition.get("containerDefinitions", [])]
        client = ecs._get_docker()
        for index, container_id in enumerate(list(task["_docker_ids"])):
            try:
                container = client.containers.get(container_id)
                container.stop(timeout=max(timeouts, default=STOP_SECONDS))
                _record_exit(task, index, container)
            except docker.errors.NotFound:
                _record_exit(task, index, None)
        _finish(task)


def _record_exit(task: Record, index: int, container: Any) -> None:
    """Store the exit code and reason shown by describe-tasks; `container` is None if it was removed externally."""
    record = task["containers"][index]
    record["lastStatus"] = "STOPPED"
    if container is None:
        record["exitCode"], record["reason"] = KILLED, "the container was removed"
        return
    container.reload()
    record["exitCode"] = container.attrs["State"]["ExitCode"]
    if container.attrs["State"].get("OOMKilled"):
        record["reason"] = "OutOfMemoryError: Container killed due to memory usage"


def _finish(task: Record) -> None:
    for container_id in list(task["_docker_ids"]):
        if forwarder := _log_threads.pop(container_id, None):
            forwarder.join(LOG_TAIL_SECONDS)  # unread log lines are lost when the container is removed
    now = now_iso()
    task.update(lastStatus="STOPPED", executionStoppedAt=now, stoppedAt=now)
    for record in task["containers"]:
        record["lastStatus"] = "STOPPED"
    _stopped_at[task["taskArn"]] = time.monotonic()
    ecs._bump_task_version(task)
    ecs._cleanup_task_resources(task, ecs._get_docker())
    _targets.pop(task["taskArn"], None)
    _refresh(task)


def _refresh(task: Record) -> None:
    cluster = ecs._cluster_name_from_arn(task["clusterArn"])
    ecs._recount_cluster(cluster)
    ecs._refresh_service_state(cluster, task.get("group", ""))
    ecs._reconcile_service_tasks(cluster, f"{cluster}/{task.get('group', '').partition(':')[2]}")


@patch(ecs, "_maybe_mark_stopped", gap="a removed container counts as running")
def stop_if_exited(task: Record, docker_client: Any = None) -> None:
    """Stop a task whose container has exited or no longer exists."""
    if not is_live(task) or task["lastStatus"] != "RUNNING":
        return
    docker_client = docker_client or ecs._get_docker()
    for container_id in list(task["_docker_ids"]):
        try:
            if docker_client.containers.get(container_id).status not in {"exited", "dead"}:
                continue
        except docker.errors.NotFound:
            pass
        for target in targets_of(task):
            target.dead = True  # nothing to drain, and Docker may soon reuse the address
        if stop(task, reason="Essential container in task exited", code="EssentialContainerExited"):
            ecs._record_service_task_failure(task)
        return


@patch(ecs, "_watch_task_lifecycle", gap="polls each task ten times a second; Docker's events replace it")
def watch_task_lifecycle(task: Record, docker_client: Any, _account_id: str, _region: str) -> None:
    stop_if_exited(task, docker_client)


def watch_exits_forever() -> None:
    """Stop tasks as soon as Docker reports that their containers have exited."""
    while True:
        client = docker.from_env()
        try:
            for event in client.events(decode=True, filters={"event": ["die", "destroy"], "type": "container"}):
                with aws_scope():
                    for task in ecs._tasks.values():
                        if event["id"] in (task.get("_docker_ids") or []):
                            stop_if_exited(task, client)
        except (docker.errors.APIError, OSError):
            time.sleep(1)  # the daemon is restarting; find_missed_exits finds exits that were missed


def find_missed_exits() -> None:
    """Stop tasks whose exit events were missed, and delete tasks that stopped more than KEPT_SECONDS ago."""
    for task in ecs._tasks.values():
        stop_if_exited(task)
        if time.monotonic() - _stopped_at.get(task["taskArn"], time.monotonic()) > KEPT_SECONDS:
            ecs._tasks.pop(task["taskArn"])
            _stopped_at.pop(task["taskArn"])


@patch(ecs, "_stop_task", gap="a stopped task is killed after 5 s without draining")
def stop_task(data: Record) -> Any:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    if cluster is None:
        return error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
    task = ecs._resolve_task(data.get("task", ""), cluster)
    if not task:
        return error_response_json("InvalidParameterException", "The referenced task was not found.", 400)
    reason = data.get("reason", "Task stopped by user")
    stop(task, reason=reason, code="SpotInterruption" if reason == SPOT_REASON else "UserInitiated")
    return json_response({"task": ecs._sanitize(task)})


patch(ecs._ACTION_MAP, "StopTask", gap="StopTask through the API, as above")(stop_task)


stock_start_forwarder = ecs._start_awslogs_forwarder


@patch(ecs, "_start_awslogs_forwarder", gap="the last log lines of a container are lost")
def start_awslogs_forwarder(container: Any, cdef: Record, task_id: str) -> None:
    before = set(threading.enumerate())
    stock_start_forwarder(container, cdef, task_id)
    for thread in set(threading.enumerate()) - before:
        if task_id[:8] in thread.name and "awslogs" in thread.name:
            _log_threads[container.id] = thread
