"""Plans a release and checks its prerequisites before anything is changed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra.stages import REGISTRY_STACK, TOOLKIT_STACK, Stage
from release.aws import PROJECT_ROOT, Aws
from release.build import IMAGE_TAG, commit_in, tag_of_working_tree
from release.command import note, run
from release.deploy import describe, running_digest
from release.errors import CommandError, NotReadyError, explain_aws_error
from release.images import Gate, Images, require_releasable

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
    def verified_tag(self) -> str:
        """Tag that the digest gets once the stage has run it."""
        return f"{self.aws.stage.name}-{commit_in(self.tag)}"

    @property
    def registry(self) -> tuple[str, ...]:
        """The registry's stack, unless it is in another account."""
        return (REGISTRY_STACK,) if self.aws.registry_account == self.aws.account else ()


def plan(stage: Stage, *, tag: str | None) -> Plan:
    """Plan a release; raise NotReadyError if a prerequisite is missing. `tag` names an existing image to release."""
    try:
        return _plan(stage, chosen=tag)
    except (BotoCoreError, ClientError) as error:
        raise NotReadyError(explain_aws_error(error)) from error


def _plan(stage: Stage, *, chosen: str | None) -> Plan:
    if missing := stage.missing_for_production():
        raise NotReadyError(" ".join(missing))
    # Only previews and the playground take uncommitted changes.
    tag = chosen or tag_of_working_tree(clean=not (stage.is_preview or stage.is_playground))
    commit_in(tag)
    gate = Gate.of(stage.blocking_severity)
    aws = Aws.of(stage)
    note(f"account {aws.account}, region {aws.region}")
    builds = not chosen and not stage.promotes_from
    require_tools(docker=builds)
    if not describe(aws, TOOLKIT_STACK):
        place = f"aws://{aws.account}/{aws.region}"
        raise NotReadyError(f"{place} is not bootstrapped: run `make bootstrap ENV={stage.name}` once")
    require_vpc_quota(aws)
    if not builds:
        images = Images(aws)
        require_releasable(stage, tag, images)
        if running := running_digest(aws):
            for line in describe_change(stage.name, images.tags(running), tag):
                note(line)
    return Plan(aws=aws, tag=tag, builds=builds, gate=gate)


def require_tools(*, docker: bool) -> None:
    """Raise NotReadyError if the CDK CLI is missing, or if Docker's daemon is needed and doesn't respond."""
    if not shutil.which("cdk"):
        raise NotReadyError("the CDK CLI is missing: run `make setup`")
    if docker:
        try:
            run(["docker", "version", "--format={{.Server.Version}}"])
        except CommandError as error:
            raise NotReadyError("Docker's daemon does not respond: start it", *error.details[-1:]) from error


def require_vpc_quota(aws: Aws) -> None:
    """Raise NotReadyError if a new stage would exceed the region's VPC quota."""
    if describe(aws, aws.stage.service_stack):
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
            f" reap), or request a higher quota ({_VPC_QUOTA['QuotaCode']}) in Service Quotas"
        )


def describe_change(stage: str, running: list[str], tag: str, *, root: Path = PROJECT_ROOT) -> Iterator[str]:
    """Yield the commits that a release of `tag` adds and undoes. `running` are the tags of the running image.

    Commits that don't change the image share it, so prefer one that the stage has run.
    """
    running = sorted(running, key=lambda each: not each.startswith(f"{stage}-"))
    commits = [match["commit"].partition("-")[0] for each in running if (match := IMAGE_TAG.fullmatch(each))]
    if not commits:
        return
    current, target = commits[0], commit_in(tag).partition("-")[0]
    yield f"from {current} to {target}; > are commits that this release adds, < those that it undoes:"
    try:
        log = run(
            ["git", "log", "--left-right", "--format=  %m %h %s", "--abbrev=12", f"{current}...{target}"], cwd=root
        )
        yield from log[:_COMMITS_SHOWN]
    except CommandError:
        yield "  can't list them, because this clone doesn't have both commits: run `git fetch`"
    yield "only the image comes from that commit; the templates come from the commit that is checked out here"
