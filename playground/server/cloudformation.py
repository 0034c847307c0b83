"""CloudFormation: resource types that MiniStack lacks, and waiting for ECS deployments to finish."""

import re
import string
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import ec2, ecs
from ministack.services.cloudformation import _change_sets, _stack_events, _stacks, handlers, provisioners, stacks

from playground.server import autoscaling, ecs_launch, iam
from playground.server.patching import Record, patch

HANDLERS: dict[str, Record] = provisioners._RESOURCE_HANDLERS
STARTED = "UPDATE_IN_PROGRESS"
Created = tuple[str, Record]


def security_group_rule(direction: str) -> Record:
    """Return handlers for a security group rule declared as a separate resource."""

    def create(_logical_id: str, properties: Record, _stack: str) -> Created:
        group = ec2._security_groups.get(properties["GroupId"])
        if group is None:
            raise ValueError(f"The security group '{properties['GroupId']}' does not exist")
        group.setdefault(direction, []).extend(provisioners._ec2_sg_permissions([properties]))
        rule = f"sgr-{new_uuid().replace('-', '')[:17]}"
        return rule, {"Id": rule}

    def delete(_physical_id: str, properties: Record) -> None:
        rules = (ec2._security_groups.get(properties["GroupId"]) or {}).get(direction, [])
        for permission in provisioners._ec2_sg_permissions([properties]):
            if permission in rules:
                rules.remove(permission)

    def update(physical_id: str, old: Record, new: Record, stack: str) -> Created:
        delete(physical_id, old)
        return create("", new, stack)

    return {"create": create, "update": update, "delete": delete}


def no_op(identify: Callable[[Record], str], *attributes: str) -> Record:
    """Return handlers for a type that is accepted but ignored; playground/README.md lists these types."""

    def create(_logical_id: str, properties: Record, _stack: str) -> Created:
        physical_id = identify(properties)
        return physical_id, dict.fromkeys(attributes, physical_id)

    def update(physical_id: str, _old: Record, _new: Record, _stack: str) -> Created:
        return physical_id, dict.fromkeys(attributes, physical_id)

    def delete(_physical_id: str, _properties: Record) -> None:
        """Do nothing: there is no resource to delete."""

    return {"create": create, "update": update, "delete": delete}


def associate_providers(_logical_id: str, properties: Record, _stack: str) -> Created:
    strategy = provisioners._pascal_to_camel(properties.get("DefaultCapacityProviderStrategy") or [])
    ecs._put_cluster_capacity_providers(
        {
            "cluster": properties["Cluster"],
            "capacityProviders": properties["CapacityProviders"],
            "defaultCapacityProviderStrategy": strategy,
        }
    )
    return properties["Cluster"], {}


def forget_providers(_physical_id: str, properties: Record) -> None:
    ecs._put_cluster_capacity_providers({"cluster": properties["Cluster"]})


stock_update, stock_add_event = stacks._update_keeping_seed, stacks._add_event
_unchanged: set[tuple[str, str]] = set()
"""Stack and logical ID of each resource that its stack's last update left unchanged."""


@patch(stacks, "_update_keeping_seed", gap="nothing records which resources an update leaves unchanged")
def update_keeping_seed(*arguments: Any) -> Any:
    _type, _physical_id, old, new, stack, logical_id, *_ = arguments
    (_unchanged.add if old == new else _unchanged.discard)((stack, logical_id))
    return stock_update(*arguments)


@patch(stacks, "_add_event", gap="an update adds events for unchanged resources")
def add_event(
    stack_id: str, stack_name: str, logical_id: str, resource_type: str, status: str, *rest: Any, **more: Any
) -> None:
    if status != "UPDATE_COMPLETE" or (stack_name, logical_id) not in _unchanged:
        stock_add_event(stack_id, stack_name, logical_id, resource_type, status, *rest, **more)
        return
    events = _stack_events[stack_id]
    started = [event["LogicalResourceId"] == logical_id and event["ResourceStatus"] == STARTED for event in events]
    if any(started):
        del events[len(started) - 1 - started[::-1].index(True)]


stock_secret_string = provisioners._sm_secret_string


@patch(provisioners, "_sm_secret_string", gap="ExcludePunctuation is ignored, so a token may be invalid in a header")
def secret_string(props: Record) -> str:
    options = dict(props.get("GenerateSecretString") or {})
    if str(options.get("ExcludePunctuation")).lower() == "true":
        options["ExcludeCharacters"] = options.get("ExcludeCharacters", "") + string.punctuation
    return str(stock_secret_string({**props, "GenerateSecretString": options}))


def install() -> None:
    """Register the resource types with MiniStack."""
    flow_log = no_op(lambda _: f"fl-{new_uuid().replace('-', '')[:17]}", "Id")
    query = no_op(lambda _: new_uuid(), "QueryDefinitionId")
    vpc_origin = no_op(lambda _: f"vo_{new_uuid().replace('-', '')[:22]}", "Id")
    web_acl_logging = no_op(lambda properties: str(properties["ResourceArn"]))
    HANDLERS.update(
        {
            "AWS::ApplicationAutoScaling::ScalableTarget": autoscaling.SCALABLE_TARGET,
            "AWS::ApplicationAutoScaling::ScalingPolicy": autoscaling.SCALING_POLICY,
            "AWS::CloudFront::VpcOrigin": vpc_origin,
            "AWS::EC2::FlowLog": flow_log,
            "AWS::EC2::SecurityGroupEgress": security_group_rule("IpPermissionsEgress"),
            "AWS::EC2::SecurityGroupIngress": security_group_rule("IpPermissions"),
            "AWS::ECS::ClusterCapacityProviderAssociations": {
                "create": associate_providers,
                "delete": forget_providers,
            },
            "AWS::IAM::OIDCProvider": iam.OIDC_PROVIDER,
            "AWS::Logs::QueryDefinition": query,
            "AWS::WAFv2::LoggingConfiguration": web_acl_logging,
            "AWS::WAFv2::WebACLAssociation": no_op(lambda properties: str(properties["ResourceArn"])),
        }
    )
    HANDLERS["AWS::ECS::TaskDefinition"]["create"] = create_task_definition
    HANDLERS["AWS::ECS::Service"].update(SERVICE)


SERVICE_PATIENCE_SECONDS = 1800.0  # AWS: 3 hours; deployments are faster here
POLL_SECONDS = 0.2


stock_task_definition = provisioners._ecs_task_def_create


@patch(provisioners, "_ecs_task_def_create", gap="nested keys keep CloudFormation's spelling and are ignored")
def create_task_definition(logical_id: str, props: Record, stack_name: str) -> Created:
    arn, attributes = stock_task_definition(logical_id, props, stack_name)
    definition = ecs._task_defs[arn.split("task-definition/", 1)[1]]
    definition["volumes"] = provisioners._pascal_to_camel(definition["volumes"])
    definition["runtimePlatform"] = provisioners._pascal_to_camel(props.get("RuntimePlatform") or {})
    for container in definition["containerDefinitions"]:
        for key in ("healthCheck", "linuxParameters", "secrets", "ulimits", "dependsOn", "repositoryCredentials"):
            if key in container:
                container[key] = provisioners._pascal_to_camel(container[key])
    ecs_launch.reject_unsupported(definition)
    return arn, attributes


stock_service_create, stock_service_update = provisioners._ecs_service_create, provisioners._ecs_service_update


def create_service(logical_id: str, properties: Record, stack: str) -> Created:
    """Create a service and wait for its first deployment; delete the service if the deployment fails."""
    arn, attributes = stock_service_create(logical_id, properties, stack)
    service = service_of(arn)
    service["healthCheckGracePeriodSeconds"] = int(properties.get("HealthCheckGracePeriodSeconds") or 0)
    service["enableExecuteCommand"] = bool(properties.get("EnableExecuteCommand"))
    service["platformVersion"] = properties.get("PlatformVersion", "")
    try:
        wait_for_deployment(service)
    except ValueError:
        delete_service(arn, properties)  # CloudFormation has no physical ID yet and can't roll back
        raise
    return arn, attributes


def update_service(physical_id: str, old: Record, new: Record, stack: str) -> Created:
    """Update a service and wait for its deployment, or until the stack's update is cancelled.

    MiniStack then rolls back before the next resource. AWS also marks the service as failed.
    """
    updated: Created = stock_service_update(physical_id, old, new, stack)
    wait_for_deployment(service_of(physical_id), cancelled=lambda: bool(_stacks[stack].get("_cancel_requested")))
    return updated


def delete_service(physical_id: str, properties: Record) -> None:
    service = service_of(physical_id)
    provisioners._ecs_service_delete(physical_id, {**properties, "ServiceName": service["serviceName"]})
    deadline = time.monotonic() + SERVICE_PATIENCE_SECONDS
    while service["status"] != "INACTIVE" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def service_of(arn: str) -> Record:
    service: Record = ecs._services[arn.split("service/", 1)[1]]
    return service


def wait_for_deployment(service: Record, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Wait for the primary deployment to complete; raises ValueError with CloudFormation's message if it fails."""
    deployment = ecs._primary_deployment(service)
    deadline = time.monotonic() + SERVICE_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        primary = ecs._primary_deployment(service)
        if primary and deployment["rolloutState"] != "FAILED":  # after a failure, the primary one is the rollback
            deployment = primary
        if service["status"] != "ACTIVE" or deployment["rolloutState"] == "COMPLETED" or cancelled():
            return
        if deployment["rolloutState"] == "FAILED":
            raise ValueError(
                "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker "
                f"was triggered'.\" ({deployment['rolloutStateReason']})"
            )
        time.sleep(POLL_SECONDS)
    raise ValueError('Resource handler returned message: "Exceeded attempts to wait" (service did not stabilize)')


def rejected_during_update(action: str, message: str) -> None:
    stock = handlers._ACTION_HANDLERS[action]

    @patch(handlers._ACTION_HANDLERS, action, gap=f"{action} is accepted during an update")
    def handle(params: Record) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        if stack and re.match("UPDATE_.*IN_PROGRESS", stack["StackStatus"]):
            return handlers._error("ValidationError", message.format(stack["StackId"], stack["StackStatus"]))
        return stock(params)


for name in ("CreateChangeSet", "ExecuteChangeSet"):
    rejected_during_update(name, "Stack:{} is in {} state and can not be updated.")
rejected_during_update("DeleteStack", "Stack [{}] cannot be deleted while in status {}")


stock_describe_stacks = handlers._ACTION_HANDLERS["DescribeStacks"]


@patch(handlers._ACTION_HANDLERS, "DescribeStacks", gap="stacks have no ChangeSetId")
def describe_stacks(params: Record) -> Any:
    """Add the ID of the last change set that was executed."""
    status, headers, body = stock_describe_stacks(params)
    for each in _change_sets.values():
        if each["ExecutionStatus"].startswith("EXECUTE_"):
            stack = f"<StackId>{each['StackId']}</StackId>"
            body = body.replace(stack.encode(), f"{stack}<ChangeSetId>{each['ChangeSetId']}</ChangeSetId>".encode())
    return status, headers, body


stock_runs_on_worker_thread, stock_sends_back = stacks._runs_on_worker_thread, stacks._sends_back_failed_update


@patch(stacks, "_runs_on_worker_thread", gap="deploying a service blocks the event loop and every API")
def runs_on_worker_thread(resource_type: str) -> bool:
    return resource_type == "AWS::ECS::Service" or bool(stock_runs_on_worker_thread(resource_type))


@patch(stacks, "_sends_back_failed_update", gap="after a failed update, a service keeps the new properties")
def sends_back_failed_update(resource_type: str) -> bool:
    return resource_type == "AWS::ECS::Service" or bool(stock_sends_back(resource_type))


SERVICE: Record = {"create": create_service, "update": update_service, "delete": delete_service}
