"""CloudFormation: the resource types that MiniStack refuses."""

from collections.abc import Callable
from typing import Any

from ministack.core.responses import json_response, new_uuid
from ministack.services import ec2, ecs, waf
from ministack.services.cloudformation import _stack_events, provisioners, stacks

from playground.server import ecs_cloudformation, identity, scaling
from playground.server.patching import Record, patch
from playground.server.services import extend

HANDLERS: dict[str, Record] = provisioners._RESOURCE_HANDLERS
BEGUN = "UPDATE_IN_PROGRESS"
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


stock_update, stock_add_event = stacks._update_keeping_seed, stacks._add_event
_unchanged: set[tuple[str, str]] = set()
"""Stack and logical id of every resource that its stack's last update left as it was."""


@patch(stacks, "_update_keeping_seed", gap="nothing notes which resources an update leaves alone")
def update_keeping_seed(*arguments: Any) -> Any:
    _type, _physical_id, old, new, stack, logical_id, *_ = arguments
    (_unchanged.add if old == new else _unchanged.discard)((stack, logical_id))
    return stock_update(*arguments)


@patch(stacks, "_add_event", gap="an update reports events of resources that it leaves alone")
def add_event(
    stack_id: str, stack: str, logical_id: str, resource_type: str, status: str, *rest: Any, **more: Any
) -> None:
    if status != "UPDATE_COMPLETE" or (stack, logical_id) not in _unchanged:
        stock_add_event(stack_id, stack, logical_id, resource_type, status, *rest, **more)
        return
    events = _stack_events[stack_id]
    begun = [event["LogicalResourceId"] == logical_id and event["ResourceStatus"] == BEGUN for event in events]
    if any(begun):
        del events[len(begun) - 1 - begun[::-1].index(True)]


def describe_queries(store: dict[str, Record]) -> Callable[[Record], Any]:
    """DescribeQueryDefinitions."""

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
    vpc_origin, _ = kept(lambda _: f"vo_{new_uuid().replace('-', '')[:22]}", "Id")
    web_acl_logging, _ = kept(lambda properties: str(properties["ResourceArn"]))
    HANDLERS.update(
        {
            "AWS::ApplicationAutoScaling::ScalableTarget": scaling.SCALABLE_TARGET,
            "AWS::ApplicationAutoScaling::ScalingPolicy": scaling.SCALING_POLICY,
            "AWS::CloudFront::VpcOrigin": vpc_origin,
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
    HANDLERS["AWS::ECS::TaskDefinition"]["create"] = ecs_cloudformation.create_task_definition
    HANDLERS["AWS::ECS::Service"].update(ecs_cloudformation.SERVICE)
    extend("logs", "Logs_20140328", {"DescribeQueryDefinitions": describe_queries(queries)})
