"""Runs the commands behind make: `python -m release COMMAND`. Start reading at `release`.

`python -m release STAGE [--tag TAG] [--step STEP]` is short for the command `deploy`, which releases a commit, or the
image of TAG or of the variable RELEASE_TAG. `--step` runs one phase (build, push, deploy or verify), so that CI shows
each as a step. Every phase is safe to repeat. Together, the four phases are equivalent to a release without `--step`.

Exit status: 0 released, 1 failed, 2 stopped before changing anything (such as invalid arguments), 130 interrupted.
`diff` and `drift` exit with 0 for no changes, 1 for changes, 2 for an error or an unknown state.
"""

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from infra.config import COPY, DEFAULT_STAGE, STAGE_NAMES, WORKLOAD, stage_named
from infra.model import Stage
from release.aws import Aws
from release.aws_errors import explain_aws_error
from release.bootstrap import bootstrap, require_bootstrapped
from release.build import build, commit_in, describe_change, push, registry_login, tag_of_working_tree
from release.command import (
    FAILED,
    OUTPUT,
    CommandError,
    DeploymentError,
    NotReadyError,
    publish,
    run_command,
)
from release.confirm import confirm, remember_original
from release.deploy import base_url, deploy, last_operation, new_change_set, running_digest, unprotected_stacks
from release.destroy import destroy
from release.display import note, step
from release.evidence import Evidence
from release.explain import explain, publish_explanation
from release.images import Images, require_releasable
from release.logs import add_options, show
from release.one_off import run_before_rollout
from release.playground import takes_uncommitted_changes
from release.quotas import require_quotas
from release.scan import check_exceptions, sbom, scan, scan_local
from release.status import UNKNOWN, diff, drift, endpoint, status
from release.verify import verify
from release.watch import TASKS_KEPT, Watch, probe_traffic


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
    images: Images
    tag: str
    """Tag of the image in the registry."""
    builds: bool
    """Whether to build the image if the registry doesn't have it."""
    digest: str | None
    """Digest of the image; None if the registry doesn't have it yet."""
    running: str | None
    """Digest that the stage runs before this release; None if it isn't deployed."""

    @property
    def tried_tag(self) -> str:
        """Tag that the digest gets before the deployment, so that the registry keeps what the stage may be running."""
        return f"try.{self.verified_tag}"

    @property
    def verified_tag(self) -> str:
        """Tag that the digest gets after `verify`. It alone allows promotions, and rollbacks without a scan."""
        return f"{self.aws.stage.name}-{commit_in(self.tag)}"


def release(stage: Stage, *, tag: str | None, only: str | None = None) -> None:
    """Release this commit, or the existing image that `tag` names. Safe to repeat at any point. `only` is a Phase."""
    OUTPUT.unlink(missing_ok=True)
    with step(f"preflight for {stage.name}"):
        try:
            planned = plan(stage, chosen=tag)
        except (BotoCoreError, ClientError) as error:
            raise NotReadyError(explain_aws_error(error)) from error
    phases = [Phase(only)] if only else list(Phase)
    digest = planned.digest
    if planned.builds and (Phase.BUILD in phases or Phase.PUSH in phases):
        digest = build_and_push(planned, phases)
    if phases == [Phase.BUILD]:
        return
    if not digest:
        raise NotReadyError(f"the registry has no image {planned.tag}: run STEP=push first")
    if Phase.PUSH in phases or Phase.DEPLOY in phases:
        with step("scan"):
            note(check_scan(planned, digest))
    if Phase.DEPLOY in phases:
        deploy_image(planned, digest)
    if Phase.VERIFY in phases:
        with step("verify"):
            address = verify(planned.aws, digest, before=planned.running, images=planned.images)
        with step(f"tag as verified: {planned.verified_tag}"):
            planned.images.add_tag(digest, planned.verified_tag)
        if unprotected := unprotected_stacks(planned.aws):
            with step("deletion protection"):
                deploy(planned.aws, *unprotected, protect=True)
        print(f"address  {address}", f"digest   {digest}", f"logs     make logs ENV={stage.name}", sep="\n")
        publish(address=address, digest=digest, tag=planned.verified_tag)


def deploy_stage(stage: Stage, given: argparse.Namespace) -> None:
    if given.bootstrap:  # in one process, so that both use the same templates
        bootstrap(stage, github=None)
    release(stage, tag=given.tag, only=given.step)


def plan(stage: Stage, *, chosen: str | None) -> Plan:
    """Plan a release; raise NotReadyError if a prerequisite is missing. `chosen` is the tag of an existing image."""
    if missing := stage.missing_for_production():
        raise NotReadyError(" ".join(missing))
    # Only the playground takes uncommitted changes. With a tag, too, the templates are those of this tree.
    current = tag_of_working_tree(clean=not takes_uncommitted_changes(stage))
    tag = chosen or current
    commit_in(tag)
    check_exceptions()
    aws = Aws.of(stage)
    note(f"account {aws.account}, region {aws.region}")
    builds = not chosen and not stage.promotes_from
    if builds and not stage.is_playground and not shutil.which("trivy"):
        raise NotReadyError("Trivy is missing, which scans the image: install it (https://trivy.dev)")
    require_bootstrapped(aws)
    images, running = Images(aws), running_digest(aws)
    if not running:
        require_quotas(aws)
    digest = images.digest(tag) if builds else require_releasable(stage, tag, images)
    if running and not builds:
        for line in describe_change(stage.name, images.tags(running), tag):
            note(line)
    return Plan(aws=aws, images=images, tag=tag, builds=builds, digest=digest, running=running)


def build_and_push(planned: Plan, phases: list[Phase]) -> str | None:
    """Build and push the image, unless the registry has it, and return its digest; None if it was only built.

    Building it again for the push takes no time.
    """
    aws, tag, images = planned.aws, planned.tag, planned.images
    with step(f"image {tag}"):
        if planned.digest:
            note("already in the registry: nothing to build")
            return planned.digest
        build(aws, tag)
    if Phase.PUSH not in phases:
        return None
    if not images.has_repository():  # an existing one is updated by the deployment
        for stack in aws.registry_stacks:
            with step(stack):
                deploy_and_watch(planned, stack)
    with step(f"push {tag}"):
        try:
            push(aws, tag)
        except CommandError:
            with suppress(BotoCoreError, ClientError):
                if digest := images.digest(tag):
                    note("another release of this commit has pushed the tag, which is immutable: using its image")
                    return digest
            raise
        return images.digest(tag)


def check_scan(planned: Plan, digest: str) -> str:
    """Return a summary of the findings; raise ReleaseError for those that the stage blocks.

    An image that the stage has run before is not scanned: a rollback must not depend on what was found since.
    """
    aws, stage = planned.aws, planned.aws.stage
    if stage.is_playground:
        return "skipped in the playground, whose registry Trivy can't read"
    if planned.verified_tag in planned.images.tags(digest):
        return f"skipped: {stage.name} has run this image before"
    with registry_login(aws) as variables:
        image = f"{aws.image_name}@{digest}"
        return scan("image", "--image-src=remote", image, severity=stage.blocking_severity, variables=variables)


def deploy_image(planned: Plan, digest: str) -> None:
    """Deploy the stacks with an image. Before its first deployment, a stage has no network and roles for a command."""
    aws, stage = planned.aws, planned.aws.stage
    planned.images.add_tag(digest, planned.tried_tag)
    if planned.running:
        run_command_once(planned, digest)
    with step(f"service at {digest}"):
        deploy_and_watch(planned, *aws.registry_stacks, stage.foundation_stack, stage.service_stack, digest=digest)
    if not planned.running:
        run_command_once(planned, digest)


def run_command_once(planned: Plan, digest: str) -> None:
    """Run the workload's command before a rollout, unless the stage has run this image before."""
    if not WORKLOAD.before_rollout or planned.verified_tag in planned.images.tags(digest):
        return
    with step(f"before the rollout: {shlex.join(WORKLOAD.before_rollout)}"):
        try:
            run_before_rollout(planned.aws, digest)
        except DeploymentError as failure:
            publish_explanation(planned.aws.stage.name, failure.summary, failure.details)
            raise


def deploy_and_watch(planned: Plan, *names: str, digest: str | None = None) -> None:
    """Deploy stacks; raise DeploymentError with the causes observed during the deployment."""
    change_set = new_change_set()
    watch = Watch(planned.aws, change_set=change_set)
    try:
        with watch, probe_traffic(base_url(planned.aws)):
            deploy(planned.aws, *names, digest=digest, change_set=change_set)
    except DeploymentError as failure:
        # The service's tasks and events don't explain the failure of another stack.
        service = planned.aws.stage.service_stack
        elsewhere = service not in names or any(failure.summary.startswith(f"{each}:") for each in {*names} - {service})
        evidence = Evidence() if elsewhere else watch.evidence
        explained = explain(evidence, failure.details)
        publish_explanation(planned.aws.stage.name, failure.summary, explained)
        raise DeploymentError(failure.summary, *explained) from failure


def explain_last(stage: Stage) -> None:
    """Explain the last deployment of the service, from what CloudFormation, ECS and the log still have of it.

    If it succeeded, explain tasks that have failed since then, such as after a restart by hand.
    """
    aws = Aws.of(stage)
    since, summary, failures = last_operation(aws, stage.service_stack)
    evidence = Watch(aws, since=since if failures else max(since, time.time() - TASKS_KEPT)).look_back()
    failed_since = any(task.failed for task in evidence.stopped)
    if failed_since and not failures:
        summary += ", but tasks have failed in the last hour"
    lines = explain(evidence, failures) if failures or failed_since else ["nothing failed"]
    publish_explanation(stage.name, summary, lines)
    print(summary, *(f"    {line}" for line in lines), sep="\n")


COMMANDS: dict[str, tuple[str, Callable[[Stage, argparse.Namespace], int | None]]] = {
    "deploy": ("release this commit", deploy_stage),
    "bootstrap": ("prepare the stage's account once", lambda stage, given: bootstrap(stage, github=given.github)),
    "status": ("print version, tasks, alarms and the last deployments", lambda stage, _: status(stage)),
    "endpoint": ("print the base URL", lambda stage, _: endpoint(stage)),
    "explain": ("explain why the last deployment failed", lambda stage, _: explain_last(stage)),
    "diff": ("show what a deployment would change, except for the image", lambda stage, _: diff(stage)),
    "drift": ("show what was changed outside of CloudFormation", lambda stage, _: drift(stage)),
    "sbom": ("write the bill of materials of the running image", lambda stage, _: sbom(stage)),
    "scan": ("scan the image that `make image` built", lambda stage, _: scan_local(stage)),
    "logs": ("print the log", show),
    "confirm": (
        "check a copy of the stage on AWS, and delete it",
        lambda stage, given: confirm(stage, release=release, yes=given.yes),
    ),
    "destroy": ("delete the stage", lambda stage, _: destroy(stage, confirmed=os.environ.get("CONFIRM", ""))),
}
"""Purpose and function of the commands that take a stage."""
INSPECTIONS = {"endpoint", "explain", "status", "diff", "drift", "sbom", "scan"}
"""Commands that exit with UNKNOWN for an error, because 1 means that `diff` or `drift` found changes."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release", description="The commands behind make.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    options = {name: commands.add_parser(name, help=purpose) for name, (purpose, _) in COMMANDS.items()}
    for name, each in options.items():
        each.add_argument("stage", help=STAGE_NAMES, nargs=None if name == "destroy" else "?", default=DEFAULT_STAGE)
    options["deploy"].add_argument(
        "--tag",
        default=os.environ.get("RELEASE_TAG") or None,
        help="release an existing image, as in a rollback: COMMIT or STAGE-COMMIT (default: RELEASE_TAG)",
    )
    options["deploy"].add_argument("--step", choices=[*map(str, Phase)], help="run only this phase")
    options["deploy"].add_argument("--bootstrap", action="store_true", help="first prepare the stage's account")
    options["bootstrap"].add_argument(
        "--github", metavar="OWNER/NAME", help="check that this repository and its IDs are in infra/stages.py"
    )
    options["confirm"].add_argument(
        "--yes", action="store_true", help="ask nothing (checks that need a person are not made)"
    )
    add_options(options["logs"])
    arguments = sys.argv[1:]
    if arguments and arguments[0] not in {*commands.choices, "-h", "--help"}:
        arguments.insert(0, "deploy")
    given = parser.parse_args(arguments)
    name = "release" if given.command == "deploy" else given.command
    run_command(name, lambda: execute(given), failed=UNKNOWN if name in INSPECTIONS else FAILED)


def execute(given: argparse.Namespace) -> int | None:
    """Run the command and return its exit status."""
    if given.stage == COPY:
        remember_original()
    _, command = COMMANDS[given.command]
    return command(stage_named(given.stage), given)


if __name__ == "__main__":
    main()
