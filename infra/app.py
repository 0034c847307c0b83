"""The CDK app that cdk.json runs: the four stacks of one stage: the first, or that of `-c stage=NAME`."""

import difflib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from infra.config import (
    ACCESS_STACK,
    DEFAULT_STAGE,
    REGISTRY_STACK,
    WORKLOAD,
    Target,
    stage_named,
    stages_in_account_of,
    stages_in_registry_of,
    target_of,
)
from infra.model import ConfigurationError, Stage
from infra.stacks.access import AccessStack
from infra.stacks.foundation import FoundationStack
from infra.stacks.registry import RegistryStack
from infra.stacks.service import ServiceStack

_CDK_KEYS = re.compile(r"@aws-cdk|aws-cdk|aws:|cli-telemetry$")
"""Feature flags and the CLI's own context. The app makes no context lookups, so it has no other keys."""


def stage_from(context: Mapping[str, Any]) -> Stage:
    """Return the stage that the context selects; raise ConfigurationError for unknown keys.

    A misspelled `stage` must not deploy the default one.
    """
    for key in context:
        if key != "stage" and not _CDK_KEYS.match(key):
            hint = "; did you mean stage?" if difflib.get_close_matches(key, ["stage"]) else ""
            raise ConfigurationError(
                f"unknown context key {key!r}: only stage is supported, as in -c stage={DEFAULT_STAGE}{hint}"
            )
    return stage_named(str(context.get("stage", DEFAULT_STAGE)))


def add_stacks(app: cdk.App, stage: Stage, target: Target) -> None:
    """Add the stacks of a stage to the app. They refer to each other by name: an export would lock both stacks."""
    environment = cdk.Environment(account=target.account, region=target.region)
    registry_environment = cdk.Environment(account=stage.registry_account or target.account, region=target.region)

    AccessStack(
        app,
        ACCESS_STACK,
        repository=stage.github,
        stages=stages_in_account_of(stage),
        owns=WORKLOAD.owns,
        env=environment,
    )
    registry = RegistryStack(app, REGISTRY_STACK, stages=stages_in_registry_of(stage), env=registry_environment)
    foundation = FoundationStack(app, stage.foundation_stack, stage=stage, env=environment)
    service = ServiceStack(app, stage.service_stack, stage=stage, env=environment)
    for dependency in (registry, foundation):
        service.add_stack_dependency(dependency)


def app_of(stage: Stage, *, outdir: str | None = None) -> cdk.App:
    """Return an app with the stacks of a stage, configured by cdk.json as the CDK CLI does."""
    configuration = json.loads((Path(__file__).parent.parent / "cdk.json").read_text())
    app = cdk.App(context=configuration["context"], outdir=outdir)
    add_stacks(app, stage, Target(stage.account, stage.region))
    return app


def main() -> None:
    app = cdk.App()
    try:
        stage = stage_from(app.node.get_all_context())
        add_stacks(app, stage, target_of(stage, os.environ))
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    app.synth()


if __name__ == "__main__":
    main()
