"""ECS: the service API, and the places where MiniStack would schedule by itself: they wake the scheduler instead."""

from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import ecs

from playground.server import ecs_rollout as rollout
from playground.server.ecs_scheduler import STEP, WAKE
from playground.server.patching import Record, patch


@patch(ecs, "_reconcile_service_tasks", gap="rollouts without health checks, drain or event; replaced by `step`")
def reconcile_service_tasks(_cluster: str, _service_key: str) -> None:
    WAKE.set()


@patch(ecs, "_complete_service_deployment", gap="as above")
def complete_service_deployment(_cluster: str, _service_key: str, expected_deployment_id: str | None = None) -> None:
    """Completion is the scheduler's decision."""


@patch(ecs, "_sync_service_targets", gap="a task is a target as soon as its process runs")
def sync_service_targets(_cluster: str, _service: Record) -> None:
    """Registration is the scheduler's decision."""


@patch(ecs, "_record_service_task_failure", gap="counts only failures to start")
def record_service_task_failure(task: Record, digest_resolution_failed: bool = False) -> None:
    cluster, name = ecs._cluster_name_from_arn(task["clusterArn"]), task.get("group", "").partition(":")[2]
    service = ecs._services.get(f"{cluster}/{name}")
    if service is not None and not digest_resolution_failed:
        rollout.count_failure(service, task)
        if task["stoppedReason"] and task["stopCode"] == "TaskFailedToStart":
            rollout.announce(service, f"was unable to start a task. Reason: {task['stoppedReason']}")
    WAKE.set()


stock_update_service = ecs._update_service


@patch(ecs, "_update_service", gap="every update announces that one task drains")
def update_service(data: Record) -> Any:
    name, cluster = ecs._resolve_service_ref(data.get("service", "")), ecs._resolve_cluster_name(data.get("cluster"))
    service = ecs._services.get(f"{cluster}/{name[0]}") if name else None
    events = list(service["events"]) if service else []
    with STEP:
        answer = stock_update_service(data)
        if service:
            service["events"] = events
    return answer


patch(ecs._ACTION_MAP, "UpdateService", gap="UpdateService through the API, as above")(update_service)


@patch(ecs, "_delete_service", gap="kills the tasks of a deleted service without draining them")
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


PRETENDED = (
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "ExecuteCommand",
    "GetTaskProtection",
    "ListServiceDeployments",
    "UpdateTaskProtection",
)


def refusal(action: str) -> Callable[[Record], Any]:
    def refuse(_data: Record) -> Any:
        return error_response_json("UnsupportedFeatureException", f"the playground has no {action}", 400)

    return refuse


for name in PRETENDED:
    patch(ecs._ACTION_MAP, name, gap=f"{name} answers as if it had done something")(refusal(name))
