"""ECS: completion, failure and rollback of a service's deployments."""

import time

from ministack.core.responses import new_uuid, now_iso
from ministack.services import cloudwatch, ecs

from playground.server.patching import Record, patch

BAKE_SECONDS = 3.0
"""Bake time: how long alarms are monitored after all tasks are healthy. AWS derives it from the alarms' periods, which
takes minutes. The playground, which evaluates alarms every second, only waits that long if one may be about to fire."""
EVENTS_KEPT = 100  # AWS: describe-services returns the latest 100

stock_make_deployment = ecs._make_deployment


@patch(ecs, "_make_deployment", gap="a new deployment counts as completed before its first task has started")
def make_deployment(task_definition: str, desired_count: int, status: str = "PRIMARY") -> Record:
    deployment: Record = stock_make_deployment(task_definition, desired_count, status)
    deployment["rolloutState"] = "IN_PROGRESS"
    deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} in progress."
    return deployment


def add_event(service: Record, message: str) -> None:
    """Prepend a service event, so that the newest comes first."""
    event = {"id": new_uuid(), "createdAt": now_iso(), "message": f"(service {service['serviceName']}) {message}"}
    service["events"] = [event, *service["events"]][:EVENTS_KEPT]


def steady(service: Record, deployment: Record) -> None:
    """Complete a deployment whose tasks are all healthy and the only ones left, after its bake time."""
    since = deployment.setdefault("_steady_since", time.monotonic())
    rolling_back = deployment.get("_rolled_back_to", False)
    baking = time.monotonic() - since < BAKE_SECONDS or (deployment.get("_monitors_alarms") and may_fire(service))
    if alarm_names(service) and not rolling_back and baking:
        return
    deployment["rolloutState"] = "COMPLETED"
    deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} completed."
    deployment["updatedAt"] = now_iso()
    add_event(service, f"(deployment {deployment['id']}) deployment completed.")
    add_event(service, "has reached a steady state.")


def unsteady(deployment: Record) -> None:
    deployment.pop("_steady_since", None)


def drop_finished(service: Record, tasks: list[Record]) -> None:
    """Drop deployments that are not primary, have no tasks left and are not needed for a rollback."""
    busy = {task.get("_deployment_id") for task in tasks if task["lastStatus"] != "STOPPED"}
    service["deployments"] = [
        deployment
        for deployment in service["deployments"]
        if deployment["status"] == "PRIMARY"
        or deployment["id"] in busy
        or (deployment["rolloutState"] == "COMPLETED" and not _settled(service))
    ]


def _settled(service: Record) -> bool:
    """Whether the primary deployment has completed, so that no earlier one is needed for a rollback."""
    primary = ecs._primary_deployment(service)
    return primary is None or primary["rolloutState"] == "COMPLETED"


def count_failure(service: Record, task: Record) -> None:
    """Record a failed task; too many consecutive failures during a rollout trigger the circuit breaker."""
    deployment = ecs._deployment_for_task(service, task)
    if deployment is None:
        return
    service["_failures"] = service.get("_failures", 0) + 1
    if deployment["status"] != "PRIMARY" or deployment["rolloutState"] != "IN_PROGRESS":
        return
    deployment["failedTasks"] += 1
    deployment["updatedAt"] = now_iso()
    breaker = (service.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker") or {}
    if breaker.get("enable") and deployment["failedTasks"] >= ecs._circuit_breaker_threshold(service):
        add_event(service, f"(deployment {deployment['id']}) deployment failed: tasks failed to start.")
        fail(
            service, deployment, "ECS deployment circuit breaker: tasks failed to start.", bool(breaker.get("rollback"))
        )


def count_success(service: Record, deployment: Record | None) -> None:
    """Record a healthy task, which resets the failure counts."""
    service["_failures"] = 0
    if deployment is not None:
        deployment["failedTasks"] = 0


def fail(service: Record, deployment: Record, reason: str, rollback: bool) -> None:
    """Mark a deployment as failed and, if rollback is set, make the last completed one primary again."""
    deployment.update(rolloutState="FAILED", rolloutStateReason=reason, desiredCount=0, updatedAt=now_iso())
    earlier = next((d for d in service["deployments"] if d["rolloutState"] == "COMPLETED"), None)
    if not rollback or earlier is None:
        return
    deployment["status"] = "ACTIVE"
    deployment["rolloutStateReason"] = f"{reason.removesuffix('.')}: rolling back to deploymentId {earlier['id']}."
    earlier.update(
        status="PRIMARY",
        rolloutState="IN_PROGRESS",
        rolloutStateReason=f"ECS deployment circuit breaker: rolling back to deploymentId {earlier['id']}.",
        desiredCount=service["desiredCount"],
        updatedAt=now_iso(),
        _rolled_back_to=True,
    )
    unsteady(earlier)
    service["taskDefinition"] = earlier["taskDefinition"]
    add_event(service, f"rolling back to deployment {earlier['id']}.")


def alarm_names(service: Record) -> list[str]:
    alarms = (service.get("deploymentConfiguration") or {}).get("alarms") or {}
    return list(alarms.get("alarmNames") or []) if alarms.get("enable") else []


def may_fire(service: Record) -> bool:
    """Whether the last period of an alarm breaches its threshold."""
    return any((cloudwatch._alarms.get(name) or {}).get("_breaching") for name in alarm_names(service))


def check_alarms(service: Record, deployment: Record) -> None:
    """Fail a rollout if one of its alarms fires. AWS: ignores all alarms if one is already firing at the start."""
    names = alarm_names(service)
    if not names or deployment["rolloutState"] != "IN_PROGRESS" or deployment.get("_rolled_back_to"):
        return
    firing = sorted(name for name in names if (cloudwatch._alarms.get(name) or {}).get("StateValue") == "ALARM")
    if not deployment.setdefault("_monitors_alarms", not firing) or not firing:
        return
    reason = f"ECS deployment failed: alarm(s) {', '.join(firing)} detected in ALARM state."
    add_event(service, f"(deployment {deployment['id']}) deployment failed: alarm detected.")
    fail(service, deployment, reason, bool(service["deploymentConfiguration"]["alarms"].get("rollback")))
