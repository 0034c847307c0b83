"""CloudFormation: the resource types that MiniStack refuses, and services that it calls done before they are."""

import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import ec2, ecs, waf
from ministack.services.cloudformation import provisioners, stacks

from infra.playground import ecs_launch, identity, scaling
from infra.playground.patching import Record, patch
from infra.playground.services import extend

SERVICE_PATIENCE_SECONDS = 1800.0  # AWS waits for three hours; nothing here takes that long
LOOK_SECONDS = 0.2

HANDLERS: dict[str, Record] = provisioners._RESOURCE_HANDLERS
Created = tuple[str, Record]


def security_group_rule(direction: str) -> Record:
    """A rule that is a resource of its own."""

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


def kept(identify: Callable[[Record], str], *attributes: str) -> tuple[Record, dict[str, Record]]:
    """A type that is stored and does nothing here, as the README says: its handlers, and what they keep."""
    store: dict[str, Record] = {}

    def create(_logical_id: str, properties: Record, _stack: str) -> Created:
        physical_id = identify(properties)
        store[physical_id] = properties
        return physical_id, dict.fromkeys(attributes, physical_id)

    def update(physical_id: str, _old: Record, new: Record, _stack: str) -> Created:
        store[physical_id] = new
        return physical_id, dict.fromkeys(attributes, physical_id)

    def delete(physical_id: str, _properties: Record) -> None:
        store.pop(physical_id, None)

    return {"create": create, "update": update, "delete": delete}, store


def associate_web_acl(_logical_id: str, properties: Record, _stack: str) -> Created:
    waf._associations[properties["ResourceArn"]] = properties["WebACLArn"]
    return f"{properties['WebACLArn']}|{properties['ResourceArn']}|APPLICATION_LOAD_BALANCER", {}


def dissociate_web_acl(_physical_id: str, properties: Record) -> None:
    waf._associations.pop(properties["ResourceArn"], None)


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


def describe_queries(store: dict[str, Record]) -> Callable[[Record], Any]:
    """DescribeQueryDefinitions."""
    from ministack.core.responses import json_response  # noqa: PLC0415

    def describe(data: Record) -> Any:
        prefix = data.get("queryDefinitionNamePrefix", "")
        return json_response(
            {
                "queryDefinitions": [
                    {
                        "queryDefinitionId": key,
                        "name": value["Name"],
                        "queryString": value["QueryString"],
                        "logGroupNames": value.get("LogGroupNames", []),
                    }
                    for key, value in store.items()
                    if value["Name"].startswith(prefix)
                ]
            }
        )

    return describe


def install() -> None:
    """Add the types to MiniStack's registry."""
    flow_log, _ = kept(lambda _: f"fl-{new_uuid().replace('-', '')[:17]}", "Id")
    query, queries = kept(lambda _: new_uuid(), "QueryDefinitionId")
    web_acl_logging, _ = kept(lambda properties: str(properties["ResourceArn"]))
    HANDLERS.update(
        {
            "AWS::ApplicationAutoScaling::ScalableTarget": scaling.SCALABLE_TARGET,
            "AWS::ApplicationAutoScaling::ScalingPolicy": scaling.SCALING_POLICY,
            "AWS::EC2::FlowLog": flow_log,
            "AWS::EC2::SecurityGroupEgress": security_group_rule("IpPermissionsEgress"),
            "AWS::EC2::SecurityGroupIngress": security_group_rule("IpPermissions"),
            "AWS::ECS::ClusterCapacityProviderAssociations": {
                "create": associate_providers,
                "delete": forget_providers,
            },
            "AWS::IAM::OIDCProvider": identity.OIDC_PROVIDER,
            "AWS::Logs::QueryDefinition": query,
            "AWS::WAFv2::LoggingConfiguration": web_acl_logging,
            "AWS::WAFv2::WebACLAssociation": {"create": associate_web_acl, "delete": dissociate_web_acl},
        }
    )
    HANDLERS["AWS::ECS::TaskDefinition"]["create"] = create_task_definition
    HANDLERS["AWS::ECS::Service"].update(create=create_service, update=update_service, delete=delete_service)
    extend("logs", "Logs_20140328", {"DescribeQueryDefinitions": describe_queries(queries)})
