"""Finds out whether a release can go through, and what it will do, before anything is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from infra.stages import REGISTRY_STACK, TOOLKIT_STACK, Stage
from release import stacks
from release.acceptances import Acceptances
from release.aws import Aws, explained
from release.build import require_docker
from release.errors import NotReadyError
from release.history import effect
from release.images import PROVEN_IN, Images, images_of, require_releasable
from release.quota import require_room
from release.scan import Gate
from release.source import commit_in, read_source

_TOOLS = {"node": "run `make setup`", "cdk": "run `make setup`"}


@dataclass(frozen=True)
class Plan:
    """What a release is going to do."""

    aws: Aws
    tag: str
    """Of the image in the registry."""
    builds: bool
    """Whether the image may be made here, if the registry lacks it."""
    gate: Gate
    """What the stage refuses of an image."""

    @property
    def proven_tag(self) -> str:
        """What the digest is called once the stage has run it."""
        return f"{self.aws.stage.name}-{commit_in(self.tag)}"

    @property
    def groundwork(self) -> tuple[str, ...]:
        """The stacks that precede the image; the registry belongs to the account that builds."""
        foundation = self.aws.stage.data_stack
        return (REGISTRY_STACK, foundation) if self.aws.registry_account == self.aws.account else (foundation,)


def plan(stage: Stage, *, older: str | None, note: Callable[[str], None]) -> Plan:
    """Raise NotReadyError for the first thing that is missing; `older` is the tag of an image to release again."""
    try:
        return _plan(stage, older=older, note=note)
    except (BotoCoreError, ClientError) as error:
        raise NotReadyError(explained(error).summary) from error


def _plan(stage: Stage, *, older: str | None, note: Callable[[str], None]) -> Plan:
    if missing := stage.missing_for_production():
        raise NotReadyError(" ".join(missing))
    tag = older or _committed_tag(stage)
    commit_in(tag)
    gate = Gate(stage.blocking_severity, Acceptances.read(today=datetime.now(UTC).date()))
    aws = Aws.of(stage)
    note(f"account {aws.account}, region {aws.region}")
    builds = not older and stage.name not in PROVEN_IN
    for tool, remedy in _TOOLS.items():
        if not shutil.which(tool, path=aws.environment["PATH"]):
            raise NotReadyError(f"{tool} is missing: {remedy}")
    if builds or aws.platform.always_needs_docker:
        note(f"Docker {require_docker(aws.environment)}")
    if not stacks.describe(aws.cloudformation, TOOLKIT_STACK):
        place = f"aws://{aws.account}/{aws.region}"
        raise NotReadyError(f"{place} is not bootstrapped: run `make bootstrap ENV={stage.name}` once")
    require_room(aws)
    if not builds:
        images = images_of(aws)
        require_releasable(stage.name, tag, images)
        for line in effect(_running_tags(aws, images), tag, environment=aws.environment):
            note(line)
    if not stage.https and stage.name != "playground":  # there, loopback stands for TLS
        note(f"no domain: {stage.name} speaks plain HTTP, so moderation is off")
    if not (stage.alarm_address or stage.is_preview or stage.name == "playground"):
        note(f"no alarm_email in infra/stages.py: the alarms of {stage.name} reach nobody")
    return Plan(aws=aws, tag=tag, builds=builds, gate=gate)


def _running_tags(aws: Aws, images: Images) -> list[str]:
    """Return the tags of the image that the stage was deployed with; none before its first deployment."""
    digest = stacks.outputs(aws.cloudformation, aws.stage.service_stack).get("DeployedDigest")
    return images.tags(digest) if digest else []


def _committed_tag(stage: Stage) -> str:
    """Return the tag of the working tree; only stages for looking at take uncommitted changes."""
    source = read_source()
    if not (stage.is_preview or stage.name == "playground"):
        source.require_clean(stage.name)
    return source.tag
