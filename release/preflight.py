"""Plans a release and checks its prerequisites before anything is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra.stages import REGISTRY_STACK, TOOLKIT_STACK, Stage
from release import stacks
from release.aws import PROJECT_ROOT, Aws
from release.build import commit_in, read_source, require_docker
from release.command import run
from release.errors import CommandError, NotReadyError
from release.explain import explain_aws_error
from release.images import PROVEN_IN, Gate, Images, require_releasable

DEFAULT_VPCS = 5
"""AWS: default quota of VPCs in a region."""
_VPC_QUOTA = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
_COMMITS_SHOWN = 15


@dataclass(frozen=True)
class Plan:
    """Inputs of a release, determined before anything is changed."""

    aws: Aws
    tag: str
    """Tag of the image in the registry."""
    builds: bool
    """Whether to build the image if the registry doesn't have it."""
    gate: Gate

    @property
    def proven_tag(self) -> str:
        """Tag that the digest gets once the stage has run it."""
        return f"{self.aws.stage.name}-{commit_in(self.tag)}"

    @property
    def foundation(self) -> tuple[str, ...]:
        """Stacks that the image and the service need. The registry is only deployed in its own account."""
        data = self.aws.stage.data_stack
        return (REGISTRY_STACK, data) if self.aws.registry_account == self.aws.account else (data,)


def plan(stage: Stage, *, tag: str | None, note: Callable[[str], None]) -> Plan:
    """Plan a release; raise NotReadyError if a prerequisite is missing. `tag` names an existing image to release."""
    try:
        return _plan(stage, chosen=tag, note=note)
    except (BotoCoreError, ClientError) as error:
        raise NotReadyError(explain_aws_error(error).summary) from error


def _plan(stage: Stage, *, chosen: str | None, note: Callable[[str], None]) -> Plan:
    if missing := stage.missing_for_production():
        raise NotReadyError(" ".join(missing))
    tag = chosen or _tag_of_commit(stage)
    commit_in(tag)
    gate = Gate.of(stage.blocking_severity)
    aws = Aws.of(stage)
    note(f"account {aws.account}, region {aws.region}")
    for tool in ("node", "cdk"):
        if not shutil.which(tool, path=aws.environment["PATH"]):
            raise NotReadyError(f"{tool} is missing: run `make setup`")
    builds = not chosen and stage.name not in PROVEN_IN
    if builds or stage.is_playground:  # without Docker, the playground can't run tasks
        note(f"Docker {require_docker(aws.environment)}")
    if not stacks.describe(aws.cloudformation, TOOLKIT_STACK):
        place = f"aws://{aws.account}/{aws.region}"
        raise NotReadyError(f"{place} is not bootstrapped: run `make bootstrap ENV={stage.name}` once")
    require_vpc_quota(aws)
    if not builds:
        images = Images.of(aws)
        require_releasable(stage.name, tag, images)
        running = stacks.outputs(aws.cloudformation, stage.service_stack).get("DeployedDigest")
        for line in describe_change(images.tags(running) if running else [], tag, environment=aws.environment):
            note(line)
    if not stage.https and not stage.is_playground:
        note(f"no domain: {stage.name} serves plain HTTP, so moderation is off")
    if not (stage.alarm_address or stage.is_preview or stage.is_playground):
        note(f"no alarm_email in infra/stages.py: the alarms of {stage.name} notify no one")
    return Plan(aws=aws, tag=tag, builds=builds, gate=gate)


def _tag_of_commit(stage: Stage) -> str:
    """Return the tag of the working tree; only previews and the playground take uncommitted changes."""
    source = read_source()
    if not (stage.is_preview or stage.is_playground):
        source.require_clean(stage.name)
    return source.tag


def require_vpc_quota(aws: Aws) -> None:
    """Raise NotReadyError if a new stage would exceed the region's VPC quota."""
    if stacks.describe(aws.cloudformation, aws.stage.service_stack):
        return
    pages = aws.untyped("ec2").get_paginator("describe_vpcs").paginate()
    used = sum(len(page["Vpcs"]) for page in pages)
    try:
        quota = int(aws.untyped("service-quotas").get_service_quota(**_VPC_QUOTA)["Quota"]["Value"])
    except (BotoCoreError, ClientError):  # not readable; it is never below the default
        quota = DEFAULT_VPCS
    if used >= quota:
        raise NotReadyError(
            f"{aws.region} has {used} of {quota} VPCs and {aws.stage.name} needs one: destroy unused previews (make"
            " reap), or request more: aws service-quotas request-service-quota-increase --service-code vpc"
            f" --quota-code {_VPC_QUOTA['QuotaCode']} --desired-value {quota + DEFAULT_VPCS}"
        )


def describe_change(
    running: list[str], tag: str, *, environment: Mapping[str, str], root: Path = PROJECT_ROOT
) -> Iterator[str]:
    """Yield which commits a release of `tag` adds and removes. `running` are the tags of the running image."""
    now, then = _commit_of(running), _commit_of([tag])
    if not now or not then:
        yield "no commit is deployed yet"
        return
    for verb, span in ((f"removes since {then}", f"{then}..{now}"), (f"adds since {now}", f"{now}..{then}")):
        log = ["git", "log", "--format=%h %s", "--abbrev=12", span]
        try:
            commits = run(log, cwd=root, environment=environment)
        except CommandError:
            yield f"from {now} to {then}; can't list the commits, because this clone doesn't have both: run `git fetch`"
            return
        yield f"{len(commits)} commits that this release {verb}"
        yield from (f"  {line}" for line in commits[:_COMMITS_SHOWN])
    yield "only the image comes from that commit; the templates come from the commit that is checked out here"


def _commit_of(tags: list[str]) -> str | None:
    """Return the commit in one of an image's tags, without the hash of uncommitted changes."""
    for tag in tags:
        try:
            return commit_in(tag).partition("-")[0]
        except NotReadyError:
            continue
    return None
