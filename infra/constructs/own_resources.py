"""Interface of infra/resources.py, and a check that its resources are those of `owns` in infra/workload.py."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.dashboard import Row
from infra.model import ConfigurationError, Owned, Stage
from infra.owned import ALARM, SERVICES


class OwnResources(Protocol):
    """The functions of the module infra/resources.py."""

    def add_data_resources(self, scope: Construct, *, stage: Stage, removal_policy: cdk.RemovalPolicy) -> None:
        """Add resources with data, which outlive the service stack.

        Afterwards, the stack sets the deletion protection of tables according to `stage.protect`.
        """

    def add_service_resources(self, scope: Construct, *, stage: Stage, alarms: Alarms) -> Sequence[Row]:
        """Add alarms of these resources to the service stack, and return rows of the dashboard."""


def resource_paths(stack: cdk.Stack) -> set[str]:
    """Return the paths of all CloudFormation resources in the stack."""
    return {each.node.path for each in stack.node.find_all() if isinstance(each, cdk.CfnResource)}


def require_owned(stack: cdk.Stack, *, before: set[str], owns: Iterable[Owned], stage: Stage) -> None:
    """Raise ConfigurationError for a resource that is not in `owns`: its deployment would lack a permission.

    `before` are the paths of resources that don't belong to the workload.
    """
    names: dict[str, list[object]] = {}
    for owned in owns:
        name = stage.physical_name(owned, account=stack.account, region=stack.region)
        for kind in SERVICES[owned.service].types:
            names.setdefault(kind, []).append(stack.resolve(name))
    attributes = {kind: attribute for facts in SERVICES.values() for kind, attribute in facts.types.items()}
    for resource in stack.node.find_all():
        if not isinstance(resource, cdk.CfnResource) or resource.node.path in before:
            continue
        kind, where = resource.cfn_resource_type, f"infra/resources.py adds {resource.node.path}, "
        if kind not in names and kind != ALARM:
            allowed = ", ".join(service.value for service in SERVICES)
            how = "add it to owns in infra/workload.py" if kind in attributes else f"only {allowed} are allowed"
            raise ConfigurationError(f"{where}of the type {kind}: {how}")
        attribute = attributes.get(kind)
        if attribute and stack.resolve(getattr(resource, attribute)) not in names[kind]:
            expected = " or ".join(map(str, names[kind]))
            raise ConfigurationError(f"{where}which needs the name {expected}, or its own entry in owns")
