"""A line of a bill, and the resources that it is read from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.cost.prices import Price
from infra.errors import ConfigurationError


class UnpricedError(ConfigurationError):
    """A resource whose price nobody wrote down; a bill without it would be wrong."""


@dataclass(frozen=True)
class Line:
    """So many units at a price."""

    label: str
    price: Price
    quantity: float

    @property
    def dollars(self) -> float:
        return self.price.amount * self.quantity


@dataclass(frozen=True)
class Resources:
    """The resources of several templates, by logical id."""

    by_id: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, templates: Iterable[Mapping[str, Any]]) -> "Resources":
        return cls({name: found for template in templates for name, found in template.get("Resources", {}).items()})

    def every(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield type and properties of each, by type."""
        for resource in sorted(self.by_id.values(), key=lambda each: str(each["Type"])):
            yield resource["Type"], resource.get("Properties", {})

    def of_type(self, kind: str) -> list[Mapping[str, Any]]:
        return [properties for each, properties in self.every() if each == kind]

    def any_of(self, kind: str) -> bool:
        return bool(self.of_type(kind))

    def referred(self, reference: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the properties of what a `Ref` names."""
        properties: Mapping[str, Any] = self.by_id[reference["Ref"]]["Properties"]
        return properties

    @property
    def embeds_metrics(self) -> bool:
        """Whether a task writes its metrics into the log."""
        return any(
            variable["Name"] == "COMMENTS_METRICS"
            for task in self.of_type("AWS::ECS::TaskDefinition")
            for container in task["ContainerDefinitions"]
            for variable in container.get("Environment", [])
        )
