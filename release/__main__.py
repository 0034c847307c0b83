"""Releases a commit to a stage: `python -m release STAGE [--tag TAG]`; `release` is the order of its steps.

`--step` runs one phase alone, so that CI can show each as a step: build, push, deploy, then verify. Every phase is safe
to repeat, and together they do what a release without `--step` does.

Exit status: 0 released, 1 failed, 2 nothing was begun (wrong arguments, something is missing), 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from enum import StrEnum

from infra.stages import Stage, stage_named
from release import preflight, stacks
from release.build import build, push
from release.causes import explain
from release.command import run_command
from release.deploy import Cdk
from release.errors import CommandError, DeploymentError, NotReleasableError, ReleaseError
from release.evidence import Evidence
from release.images import Images, images_of
from release.outputs import publish
from release.preflight import Plan
from release.probe import Probe
from release.proof import prove
from release.scan import wait_for_scan
from release.steps import Steps
from release.watch import Watch


class Phase(StrEnum):
    """A part of a release that `--step` runs alone."""

    BUILD = "build"
    """Build the image on this machine."""
    PUSH = "push"
    """Deploy the stacks before the service, push the image and wait for its scan."""
    DEPLOY = "deploy"
    """Deploy the service with an image that is in the registry."""
    VERIFY = "verify"
    """Check from outside that this image runs and responds, and mark it as proven."""


def release(stage: Stage, *, older: str | None, steps: Steps, only: Phase | None = None) -> None:
    """Bring the stage to this commit's image, or to the one that `older` names; safe to repeat at any point."""
    with steps.step(f"preflight for {stage.name}"):
        plan = preflight.plan(stage, older=older, note=steps.note)
    aws = plan.aws
    images = images_of(aws)
    cdk = Cdk(aws, steps.note)

    if only is Phase.BUILD:
        with steps.step(f"image {plan.tag}"):
            build_only(plan, images, steps.note)
        return
    if only in {None, Phase.PUSH} or (only is Phase.DEPLOY and not plan.builds):
        with steps.step(" and ".join(plan.groundwork)):
            lay(plan.groundwork, cdk)
    with steps.step(f"image {plan.tag}"):
        digest = find_or_build(plan, images, steps.note) if only in {None, Phase.PUSH} else find(plan, images)
    if only is not Phase.VERIFY:
        with steps.step("scan"):
            steps.note(scan(plan, images, digest))
    if only is Phase.PUSH:
        return
    before = stacks.outputs(aws.cloudformation, stage.service_stack).get("DeployedDigest")
    if only is Phase.VERIFY:
        before = previous(plan, images, digest)
    else:
        with steps.step(f"service at {digest}"):
            deploy_watched(plan, cdk, digest, steps.note)
    if only is Phase.DEPLOY:
        return
    with steps.step("verify"):
        address = prove(aws, digest, steps.note, before=before)
    with steps.step(f"mark as proven: {plan.proven_tag}"):
        steps.note("tagged" if images.add_tag(digest, plan.proven_tag) else "tagged already")

    steps.result(f"address  {address}")
    steps.result(f"digest   {digest}")
    steps.result(f"logs     make logs ENV={stage.name}")
    publish(address=address, digest=digest, tag=plan.proven_tag)


def build_only(plan: Plan, images: Images, note: Callable[[str], None]) -> None:
    """Build the image unless the registry has it. Docker keeps it for the push."""
    if images.digest(plan.tag):
        note("in the registry already: nothing to build")
        return
    aws = plan.aws
    reference = f"{aws.image_name}:{plan.tag}"
    build(reference, architecture=aws.stage.architecture, environment=aws.environment, note=note)


def find(plan: Plan, images: Images) -> str:
    """Return the digest of the plan's tag; raise NotReleasableError if it was not pushed."""
    digest = images.digest(plan.tag)
    if not digest:
        raise NotReleasableError(f"the registry holds no image {plan.tag}: push it first")
    return digest


def previous(plan: Plan, images: Images, digest: str) -> str | None:
    """Return the digest of the last image that the stage has proven, other than this one."""
    proven = (images.digest(tag) for tag in images.proven_in(plan.aws.stage.name))
    return next((other for other in proven if other and other != digest), None)


def find_or_build(plan: Plan, images: Images, note: Callable[[str], None]) -> str:
    """Return the digest of the plan's tag, which is built and pushed only if the registry lacks it."""
    aws = plan.aws
    digest = images.digest(plan.tag)
    if digest:
        note("in the registry already: nothing to build")
        return digest
    if not plan.builds:
        raise NotReleasableError(f"the image {plan.tag} has left the registry since preflight saw it there")
    reference = f"{aws.image_name}:{plan.tag}"
    build(reference, architecture=aws.stage.architecture, environment=aws.environment, note=note)
    note(f"pushing {reference}")
    try:
        push(reference, ecr=aws.ecr, account=aws.registry_account, environment=aws.environment)
    except CommandError:
        digest = images.digest(plan.tag)
        if not digest:
            raise
        note("another release of this commit has pushed it meanwhile, and tags are immutable: taking that one")
        return digest
    digest = images.digest(plan.tag)
    if not digest:
        raise ReleaseError(f"the registry took {reference} and does not list it")
    return digest


def scan(plan: Plan, images: Images, digest: str) -> str:
    """Return what the scan is worth; raise NotReleasableError for what the stage refuses and has never run.

    What it has run before may come back: a rollback must not wait for a weakness that was there all the time.
    """
    aws = plan.aws
    try:
        findings = wait_for_scan(
            aws.ecr, account=aws.registry_account, repository=images.repository, digest=digest, gate=plan.gate
        )
    except NotReleasableError as refused:
        if plan.proven_tag not in images.tags(digest):
            raise
        return f"let through, since {aws.stage.name} has run it before: {refused.summary}"
    return aws.platform.scan_verdict(findings)


def lay(groundwork: Sequence[str], cdk: Cdk) -> None:
    """Deploy the stacks that the service stands on; if that fails, raise DeploymentError with the cause."""
    try:
        cdk.deploy(*groundwork)
    except DeploymentError as failure:
        raise DeploymentError(failure.summary, *explain(Evidence(), failure.details)) from failure


def deploy_watched(plan: Plan, cdk: Cdk, digest: str, note: Callable[[str], None]) -> None:
    """Deploy the service; if that fails, raise DeploymentError with the causes that were seen meanwhile."""
    aws = plan.aws
    stack = aws.stage.service_stack
    address = aws.platform.base_url(stacks.outputs(aws.cloudformation, stack).get("BaseUrl"))
    watch = Watch(aws, note)
    try:
        with watch, Probe(address):
            cdk.deploy(stack, digest=digest)
    except DeploymentError as failure:
        raise DeploymentError(failure.summary, *explain(watch.evidence, failure.details)) from failure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release", description="Release this commit to a stage.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    parser.add_argument("--tag", help="release an image that is in the registry: COMMIT or STAGE-COMMIT; a rollback")
    parser.add_argument("--step", type=Phase, choices=list(Phase), help="run one part of the release alone")
    arguments = parser.parse_args()
    run_command(
        "release",
        lambda: release(stage_named(arguments.stage), older=arguments.tag, steps=Steps(), only=arguments.step),
    )


if __name__ == "__main__":
    main()
