"""What differs between AWS and the one-machine AWS, as two small objects; everything else is shared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.stages import Stage
from playground.client import load_environment
from release.errors import NotReadyError, NotVerifiedError
from release.tools import run


class Platform(Protocol):
    """Where a stage lives."""

    always_needs_docker: bool

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables for clients and tools; raise NotReadyError if they would reach another AWS."""

    def registry_host(self, *, account: str, region: str) -> str:
        """Return the host that Docker pushes to."""

    def scan_verdict(self, findings: str) -> str:
        """Return what a completed scan with these findings is worth."""

    def base_url(self, output: str | None) -> str | None:
        """Return the public address, given the stack's output; None if there is none."""

    def check_containers(self, task_arns: Sequence[str], *, environment: Mapping[str, str]) -> str | None:
        """Return what proves that running tasks are real, where that needs a proof; raise NotVerifiedError."""


class RealAws:
    """An account at Amazon."""

    always_needs_docker = False

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        elsewhere = [name for name in environ if name.startswith("AWS_ENDPOINT_URL")]
        if elsewhere:
            raise NotReadyError(
                f"{elsewhere[0]} is set, so this would not reach AWS: unset it, or release to the stage playground"
            )
        return dict(environ)

    def registry_host(self, *, account: str, region: str) -> str:
        return f"{account}.dkr.ecr.{region}.amazonaws.com"

    def scan_verdict(self, findings: str) -> str:
        return f"passed: {findings}"

    def base_url(self, output: str | None) -> str | None:
        return output

    def check_containers(self, task_arns: Sequence[str], *, environment: Mapping[str, str]) -> str | None:  # noqa: ARG002  (the protocol's)
        return None


@dataclass(frozen=True)
class Playground:
    """The one-machine AWS; it pretends where it must, so more has to be proven."""

    variables: Mapping[str, str]
    """Where it listens, as it says itself."""
    always_needs_docker = True  # without it, its tasks would run in name only

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Leave nothing of a person's own AWS settings that could lead the tools elsewhere."""
        clean = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
        nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return clean | nobody | dict(self.variables)

    def registry_host(self, *, account: str, region: str) -> str:  # noqa: ARG002  (the protocol's)
        return self.variables["PLAYGROUND_REGISTRY"]

    def scan_verdict(self, findings: str) -> str:  # noqa: ARG002  (the protocol's)
        return "not scanned: the playground has no scanner"

    def base_url(self, output: str | None) -> str | None:
        """The balancer has a port of its own here; its name would resolve nowhere."""
        return self.variables["PLAYGROUND_URL"] if output else None

    def check_containers(self, task_arns: Sequence[str], *, environment: Mapping[str, str]) -> str | None:
        for arn in task_arns:
            command = ["docker", "ps", "--quiet", "--filter", f"label=com.amazonaws.ecs.task-arn={arn}"]
            if not run(command, environment=environment):
                raise NotVerifiedError(
                    f"task {arn.rsplit('/', 1)[-1]} is called running, and Docker runs no container of it"
                )
        return "Docker runs a container of each"


def platform_of(stage: Stage) -> Platform:
    """Return the playground for its own stage only; raise what its client raises when it is not up."""
    return Playground(load_environment()) if stage.name == "playground" else RealAws()
