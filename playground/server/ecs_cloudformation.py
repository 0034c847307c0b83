"""CloudFormation's ECS resources: task definitions as ECS spells them, services that are done when ECS says so."""

import time

from ministack.services import ecs
from ministack.services.cloudformation import provisioners, stacks

from playground.server import ecs_launch
from playground.server.patching import Record, patch

SERVICE_PATIENCE_SECONDS = 1800.0  # AWS waits for three hours; nothing here takes that long
LOOK_SECONDS = 0.2

Created = tuple[str, Record]

stock_task_definition = provisioners._ecs_task_def_create


@patch(provisioners, "_ecs_task_def_create", gap="nested keys keep CloudFormation's spelling and are never read")
def create_task_definition(logical_id: str, properties: Record, stack: str) -> Created:
    arn, attributes = stock_task_definition(logical_id, properties, stack)
    definition = ecs._task_defs[arn.split("task-definition/", 1)[1]]
    definition["volumes"] = provisioners._pascal_to_camel(definition["volumes"])
    definition["runtimePlatform"] = provisioners._pascal_to_camel(properties.get("RuntimePlatform") or {})
    for container in definition["containerDefinitions"]:
        for key in ("healthCheck", "linuxParameters", "secrets", "ulimits", "dependsOn", "repositoryCredentials"):
            if key in container:
                container[key] = provisioners._pascal_to_camel(container[key])
    ecs_launch.refuse_unknown(definition)
    return arn, attributes


stock_service_create, stock_service_update = provisioners._ecs_service_create, provisioners._ecs_service_update


def create_service(logical_id: str, properties: Record, stack: str) -> Created:
    """Create a service and wait for its first deployment, as CloudFormation does; undo it if that fails."""
    arn, attributes = stock_service_create(logical_id, properties, stack)
    service = service_of(arn)
    service["healthCheckGracePeriodSeconds"] = int(properties.get("HealthCheckGracePeriodSeconds") or 0)
    service["enableExecuteCommand"] = bool(properties.get("EnableExecuteCommand"))
    service["platformVersion"] = properties.get("PlatformVersion", "")
    try:
        wait_for_deployment(service)
    except ValueError:
        delete_service(arn, properties)  # CloudFormation has no id yet by which it could roll back
        raise
    return arn, attributes


def update_service(physical_id: str, old: Record, new: Record, stack: str) -> Created:
    updated: Created = stock_service_update(physical_id, old, new, stack)
    wait_for_deployment(service_of(physical_id))
    return updated


def delete_service(physical_id: str, properties: Record) -> None:
    service = service_of(physical_id)
    provisioners._ecs_service_delete(physical_id, {**properties, "ServiceName": service["serviceName"]})
    deadline = time.monotonic() + SERVICE_PATIENCE_SECONDS
    while service["status"] != "INACTIVE" and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def service_of(arn: str) -> Record:
    service: Record = ecs._services[arn.split("service/", 1)[1]]
    return service


def wait_for_deployment(service: Record) -> None:
    """Follow the deployment that an operation began to its end; raises ValueError with CloudFormation's message."""
    deployment = ecs._primary_deployment(service)
    deadline = time.monotonic() + SERVICE_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if service["status"] != "ACTIVE" or deployment["rolloutState"] == "COMPLETED":
            return
        if deployment["rolloutState"] == "FAILED":
            raise ValueError(
                "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker "
                f"was triggered'.\" ({deployment['rolloutStateReason']})"
            )
        time.sleep(LOOK_SECONDS)
    raise ValueError('Resource handler returned message: "Exceeded attempts to wait" (service did not stabilize)')


stock_runs_on_worker_thread, stock_sends_back = stacks._runs_on_worker_thread, stacks._sends_back_failed_update


@patch(stacks, "_runs_on_worker_thread", gap="a service is deployed on the event loop, which serves everything else")
def runs_on_worker_thread(resource_type: str) -> bool:
    return resource_type == "AWS::ECS::Service" or bool(stock_runs_on_worker_thread(resource_type))


@patch(stacks, "_sends_back_failed_update", gap="a service whose update failed keeps the properties that failed")
def sends_back_failed_update(resource_type: str) -> bool:
    return resource_type == "AWS::ECS::Service" or bool(stock_sends_back(resource_type))


SERVICE: Record = {"create": create_service, "update": update_service, "delete": delete_service}
