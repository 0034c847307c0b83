"""Releases a commit to a stage: `python -m release STAGE [--tag TAG] [--step STEP]`. Start reading at `release`.

`--step` runs one phase (build, push, deploy or verify), so that CI shows each as a step. Every phase is safe to repeat.
Together, the four phases are equivalent to a release without `--step`.

Exit status: 0 released, 1 failed, 2 stopped before changing anything (such as invalid arguments), 130 interrupted.
"""

import argparse
import shutil
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from infra.stages import TOOLKIT_STACK, Stage, stage_named
from release.aws import Aws
from release.build import build, commit_in, describe_change, push, registry_login, tag_of_working_tree
from release.command import CommandError, DeploymentError, NotReadyError, note, publish, run_command, step
from release.deploy import base_url, deploy, describe, running_digest
from release.explain import explain, explain_aws_error
from release.images import Images, require_releasable
from release.scan import check_exceptions, scan
from release.verify import verify
from release.watch import Evidence, Watch, probe_traffic


class Phase(StrEnum):
    """A part of a release that `--step` runs separately."""

    BUILD = "build"
    """Build the image on this machine, unless the registry has it."""
    PUSH = "push"
    """Deploy the registry, push the image and scan it."""
    DEPLOY = "deploy"
    """Deploy the stacks with an image that is in the registry."""
    VERIFY = "verify"
    """Check from outside that this image runs and responds, then tag it as verified."""


@dataclass(frozen=True)
class Plan:
    """Inputs of a release, determined before anything is changed."""

    aws: Aws
    tag: str
    """Tag of the image in the registry."""
    builds: bool
    """Whether to build the image if the registry doesn't have it."""

    @property
    def verified_tag(self) -> str:
        """Tag that the digest gets once the stage has run it."""
        return f"{self.aws.stage.name}-{commit_in(self.tag)}"


def release(stage: Stage, *, tag: str | None, only: Phase | None = None) -> None:
    """Release this commit, or the existing image that `tag` names, to the stage. Safe to repeat at any point."""
    with step(f"preflight for {stage.name}"):
        try:
            planned = plan(stage, chosen=tag)
        except (BotoCoreError, ClientError) as error:
            raise NotReadyError(explain_aws_error(error)) from error
    phases = [only] if only else list(Phase)
    if planned.builds and (Phase.BUILD in phases or Phase.PUSH in phases):
        build_and_push(planned, phases)
    if phases == [Phase.BUILD]:
        return
    digest = Images(planned.aws).digest(planned.tag)
    if not digest:
        raise NotReadyError(f"the registry has no image {planned.tag}: run STEP=push first")
    if Phase.PUSH in phases or Phase.DEPLOY in phases:
        with step("scan"):
            note(check_scan(planned, digest))
    before = running_digest(planned.aws) if Phase.DEPLOY in phases else None
    if Phase.DEPLOY in phases:
        with step(f"service at {digest}"):
            deploy_and_watch(
                planned, *planned.aws.registry_stacks, stage.data_stack, stage.service_stack, digest=digest
            )
    if Phase.VERIFY in phases:
        with step("verify"):
            address = verify(planned.aws, digest, before=before)
        with step(f"tag as verified: {planned.verified_tag}"):
            Images(planned.aws).add_tag(digest, planned.verified_tag)
        print(f"address  {address}", f"digest   {digest}", f"logs     make logs ENV={stage.name}", sep="\n")
        publish(address=address, digest=digest, tag=planned.verified_tag)


def plan(stage: Stage, *, chosen: str | None) -> Plan:
    """Plan a release; raise NotReadyError if a prerequisite is missing. `chosen` is the tag of an existing image."""
    if missing := stage.missing_for_production():
        raise NotReadyError(" ".join(missing))
    # Only previews and the playground take uncommitted changes. With a tag, too, the templates are those of this tree.
    current = tag_of_working_tree(clean=not (stage.is_preview or stage.is_playground))
    tag = chosen or current
    commit_in(tag)
    check_exceptions()
    aws = Aws.of(stage)
    note(f"account {aws.account}, region {aws.region}")
    builds = not chosen and not stage.promotes_from
    if builds and not stage.is_playground and not shutil.which("trivy"):
        raise NotReadyError("Trivy is missing, which scans the image: install it (https://trivy.dev)")
    if not describe(aws, TOOLKIT_STACK):
        place = f"aws://{aws.account}/{aws.region}"
        raise NotReadyError(f"{place} is not bootstrapped: run `make bootstrap ENV={stage.name}` once")
    if not builds:
        images = Images(aws)
        require_releasable(stage, tag, images)
        if running := running_digest(aws):
            for line in describe_change(stage.name, images.tags(running), tag):
                note(line)
    return Plan(aws=aws, tag=tag, builds=builds)


def build_and_push(planned: Plan, phases: list[Phase]) -> None:
    """Build and push the image, unless the registry has it. Building it again for the push takes no time."""
    aws, tag = planned.aws, planned.tag
    with step(f"image {tag}"):
        if Images(aws).digest(tag):
            note("already in the registry: nothing to build")
            return
        build(aws, tag)
    if Phase.PUSH not in phases:
        return
    for stack in aws.registry_stacks:
        with step(stack):
            deploy_and_watch(planned, stack)
    with step(f"push {tag}"):
        try:
            push(aws, tag)
        except CommandError:
            if not Images(aws).digest(tag):
                raise
            note("another release of this commit has pushed the tag, which is immutable: using its image")


def check_scan(planned: Plan, digest: str) -> str:
    """Return a summary of the findings; raise ReleaseError for those that the stage blocks.

    An image that the stage has run before is not scanned: a rollback must not depend on what was found since.
    """
    aws, stage = planned.aws, planned.aws.stage
    if stage.is_playground:
        return "skipped in the playground"
    if planned.verified_tag in Images(aws).tags(digest):
        return f"skipped: {stage.name} has run this image before"
    with registry_login(aws) as variables:
        image = f"{aws.image_name}@{digest}"
        return scan("image", "--image-src=remote", image, severity=stage.blocking_severity, variables=variables)


def deploy_and_watch(planned: Plan, *names: str, digest: str | None = None) -> None:
    """Deploy stacks; raise DeploymentError with the causes observed during the deployment."""
    watch = Watch(planned.aws)
    try:
        with watch, probe_traffic(base_url(planned.aws)):
            deploy(planned.aws, *names, digest=digest)
    except DeploymentError as failure:
        # What happens in the service explains no failure of another stack.
        of_the_service = failure.summary.startswith(f"{planned.aws.stage.service_stack}:")
        evidence = watch.evidence if of_the_service else Evidence()
        raise DeploymentError(failure.summary, *explain(evidence, failure.details)) from failure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release", description="Release this commit to a stage.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    parser.add_argument("--tag", help="release an existing image, as in a rollback: COMMIT or STAGE-COMMIT")
    parser.add_argument("--step", choices=[*map(str, Phase)], help="run only this phase")
    arguments = parser.parse_args()
    only = Phase(arguments.step) if arguments.step else None
    run_command("release", lambda: release(stage_named(arguments.stage), tag=arguments.tag, only=only))


if __name__ == "__main__":
    main()
