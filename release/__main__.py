"""Releases a commit to a stage: `python -m release STAGE [--tag TAG] [--step STEP]`. Start reading at `release`.

`--step` runs one phase (build, push, deploy or verify), so that CI shows each as a step. Every phase is safe to repeat.
Together, the four phases are equivalent to a release without `--step`.

Exit status: 0 released, 1 failed, 2 stopped before changing anything (such as invalid arguments), 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from enum import StrEnum

from infra.stages import Stage, stage_named
from release import preflight, stacks
from release.build import build, push
from release.command import Steps, publish, run_command
from release.deploy import Cdk
from release.errors import CommandError, DeploymentError, NotReleasableError, ReleaseError
from release.explain import explain
from release.images import Images, wait_for_scan
from release.preflight import Plan
from release.verify import verify
from release.watch import Evidence, ProbeTraffic, Watch

Note = Callable[[str], None]


class Phase(StrEnum):
    """A part of a release that `--step` runs separately."""

    BUILD = "build"
    """Build the image on this machine."""
    PUSH = "push"
    """Deploy the registry and data stacks, push the image and wait for its scan."""
    DEPLOY = "deploy"
    """Deploy the service with an image that is in the registry."""
    VERIFY = "verify"
    """Check from outside that this image runs and responds, then tag it as proven."""


def release(stage: Stage, *, tag: str | None, steps: Steps, only: Phase | None = None) -> None:
    """Release this commit, or the existing image that `tag` names, to the stage. Safe to repeat at any point."""
    with steps.step(f"preflight for {stage.name}"):
        plan = preflight.plan(stage, tag=tag, note=steps.note)
    aws = plan.aws
    images = Images.of(aws)
    cdk = Cdk(aws, steps.note)

    if only is Phase.BUILD:
        with steps.step(f"image {plan.tag}"):
            build_image(plan, images, steps.note)
        return
    if only in {None, Phase.PUSH} or (only is Phase.DEPLOY and not plan.builds):
        with steps.step(" and ".join(plan.foundation)):
            deploy_foundation(plan, cdk)
    with steps.step(f"image {plan.tag}"):
        digest = (find_or_push if only in {None, Phase.PUSH} else find_pushed)(plan, images, steps.note)
    if only is not Phase.VERIFY:
        with steps.step("scan"):
            steps.note(check_scan(plan, images, digest))
    if only is Phase.PUSH:
        return
    if only is Phase.VERIFY:
        before = previous_digest(plan, images, digest)
    else:
        before = stacks.outputs(aws.cloudformation, stage.service_stack).get("DeployedDigest")
        with steps.step(f"service at {digest}"):
            deploy_service(plan, cdk, digest, steps.note)
    if only is Phase.DEPLOY:
        return
    with steps.step("verify"):
        address = verify(aws, digest, steps.note, before=before)
    with steps.step(f"tag as proven: {plan.proven_tag}"):
        steps.note("tagged" if images.add_tag(digest, plan.proven_tag) else "already tagged")

    steps.result(f"address  {address}")
    steps.result(f"digest   {digest}")
    steps.result(f"logs     make logs ENV={stage.name}")
    publish(address=address, digest=digest, tag=plan.proven_tag)


def build_image(plan: Plan, images: Images, note: Note) -> bool:
    """Build the image unless the registry has it; return whether it was built. Docker keeps it until it is pushed."""
    if images.digest(plan.tag):
        note("already in the registry: nothing to build")
        return False
    aws = plan.aws
    reference = f"{aws.image_name}:{plan.tag}"
    build(reference, architecture=aws.stage.architecture, environment=aws.environment, note=note)
    return True


def find_pushed(plan: Plan, images: Images, _note: Note) -> str:
    """Return the digest of the plan's tag; raise NotReleasableError if the registry doesn't have it."""
    digest = images.digest(plan.tag)
    if not digest:
        raise NotReleasableError(f"the registry has no image {plan.tag}: run the step push first")
    return digest


def find_or_push(plan: Plan, images: Images, note: Note) -> str:
    """Return the digest of the plan's tag, building and pushing it only if the registry doesn't have it."""
    if not plan.builds or not build_image(plan, images, note):
        return find_pushed(plan, images, note)
    aws = plan.aws
    reference = f"{aws.image_name}:{plan.tag}"
    note(f"pushing {reference}")
    try:
        push(reference, ecr=aws.ecr, account=aws.registry_account, environment=aws.environment)
    except CommandError:
        digest = images.digest(plan.tag)
        if not digest:
            raise
        note("another release of this commit has pushed the tag, which is immutable: using its image")
        return digest
    digest = images.digest(plan.tag)
    if not digest:
        raise ReleaseError(f"the registry accepted {reference} but does not list it")
    return digest


def check_scan(plan: Plan, images: Images, digest: str) -> str:
    """Return a summary of the scan; raise NotReleasableError for findings that the stage blocks.

    An image that the stage has run before is allowed: a new finding must not block a rollback.
    """
    aws = plan.aws
    try:
        findings = wait_for_scan(
            aws.ecr, account=aws.registry_account, repository=images.repository, digest=digest, gate=plan.gate
        )
    except NotReleasableError as blocked:
        if plan.proven_tag not in images.tags(digest):
            raise
        return f"allowed, because {aws.stage.name} has run it before: {blocked.summary}"
    return "not scanned: the playground has no scanner" if aws.stage.is_playground else f"passed: {findings}"


def previous_digest(plan: Plan, images: Images, digest: str) -> str | None:
    """Return the digest of the latest other image that the stage has run."""
    proven = (images.digest(tag) for tag in images.proven_in(plan.aws.stage.name))
    return next((other for other in proven if other and other != digest), None)


def deploy_foundation(plan: Plan, cdk: Cdk) -> None:
    """Deploy the stacks that the service needs; raise DeploymentError with the cause."""
    try:
        cdk.deploy(*plan.foundation)
    except DeploymentError as failure:
        raise DeploymentError(failure.summary, *explain(Evidence(), failure.details)) from failure


def deploy_service(plan: Plan, cdk: Cdk, digest: str, note: Note) -> None:
    """Deploy the service; raise DeploymentError with the causes observed during the deployment."""
    aws = plan.aws
    watch = Watch(aws, note)
    try:
        with watch, ProbeTraffic(stacks.base_url(aws)):
            cdk.deploy(aws.stage.service_stack, digest=digest)
    except DeploymentError as failure:
        raise DeploymentError(failure.summary, *explain(watch.evidence, failure.details)) from failure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release", description="Release this commit to a stage.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    parser.add_argument("--tag", help="release an existing image, as in a rollback: COMMIT or STAGE-COMMIT")
    parser.add_argument("--step", type=Phase, choices=list(Phase), help="run only this phase")
    arguments = parser.parse_args()
    run_command(
        "release",
        lambda: release(stage_named(arguments.stage), tag=arguments.tag, steps=Steps(), only=arguments.step),
    )


if __name__ == "__main__":
    main()
