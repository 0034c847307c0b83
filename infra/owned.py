"""Resources that a workload owns: the interface of infra/resources.py, and what follows from entries of `owns`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from infra.model import ConfigurationError, Owned, Service, Stage

if TYPE_CHECKING:
    import aws_cdk as cdk
    from constructs import Construct

    from infra.constructs.alarms import Alarms
    from infra.constructs.dashboard import Row


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How a service names resources. NAME in an ARN is a physical name; the other placeholders are those of IAM."""

    types: Mapping[str, str]
    """CloudFormation types, with the attribute of CDK's construct that has the physical name."""
    arn: str
    manage: tuple[str, ...]
    """Actions of CloudFormation."""
    read: tuple[str, ...]
    """Actions of drift detection beyond those of every stage."""


SERVICES = {
    Service.DYNAMODB: Facts(
        types={"AWS::DynamoDB::GlobalTable": "table_name", "AWS::DynamoDB::Table": "table_name"},
        arn="arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME",
        manage=("dynamodb:*",),
        read=("dynamodb:Describe*", "dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource"),
    ),
    Service.SES: Facts(
        types={"AWS::SES::EmailIdentity": "email_identity"},
        arn="arn:PARTITION:ses:REGION:ACCOUNT:identity/NAME",
        manage=("ses:*EmailIdentity*", "ses:*Tag*"),
        read=("ses:GetEmailIdentity", "ses:ListTagsForResource"),
    ),
}
_TYPES = {kind: attribute for facts in SERVICES.values() for kind, attribute in facts.types.items()}
_ALARM = "AWS::CloudWatch::Alarm"


def arns(owned: Owned, name: str) -> tuple[str, ...]:
    """Return the ARNs of a resource by its physical name, which may be a pattern."""
    found = SERVICES[owned.service].arn.replace("NAME", name)
    return (found, f"{found}/index/*") if owned.indexes else (found,)


def filled_in(arn: str, stack: cdk.Stack) -> str:
    """Replace the placeholders of an ARN."""
    values = {"PARTITION": stack.partition, "REGION": stack.region, "ACCOUNT": stack.account}
    for placeholder, value in values.items():
        arn = arn.replace(placeholder, value)
    return arn


def patterns(owned: Owned, project: str) -> tuple[str, ...]:
    """Return the ARNs of a resource in every stage."""
    if owned.service is Service.SES:
        return arns(owned, owned.name)
    return arns(owned, "-".join((project, "*", *filter(None, (owned.name,)))))


def services(owns: Iterable[Owned]) -> list[Service]:
    """Return the services of the entries, each once, in the order of the allowlist."""
    used = {owned.service for owned in owns}
    return [service for service in SERVICES if service in used]


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
    return {each.node.path for each in _resources(stack)}


def require_owned(stack: cdk.Stack, *, before: set[str], owns: Iterable[Owned], stage: Stage) -> None:
    """Raise ConfigurationError for a resource that is not in `owns`: its deployment would lack a permission.

    `before` are the paths of resources that don't belong to the workload.
    """
    names: dict[str, list[str]] = {}
    for owned in owns:
        for kind in SERVICES[owned.service].types:
            names.setdefault(kind, []).append(stage.physical_name(owned))
    for resource in _resources(stack):
        kind, where = resource.cfn_resource_type, f"infra/resources.py adds {resource.node.path}, "
        if resource.node.path in before or kind == _ALARM:
            continue
        if kind not in names:
            allowed = ", ".join(service.value for service in SERVICES)
            how = "add it to owns in infra/workload.py" if kind in _TYPES else f"only {allowed} are allowed"
            raise ConfigurationError(f"{where}of the type {kind}: {how}")
        if stack.resolve(getattr(resource, _TYPES[kind])) not in names[kind]:
            expected = " or ".join(names[kind])
            raise ConfigurationError(f"{where}which needs the name {expected}, or its own entry in owns")


def _resources(stack: cdk.Stack) -> list[cdk.CfnResource]:
    import aws_cdk as cdk  # noqa: PLC0415  # takes two seconds, and commands that synthesize nothing need ARNs

    return [each for each in stack.node.find_all() if isinstance(each, cdk.CfnResource)]
