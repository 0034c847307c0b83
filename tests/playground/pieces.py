"""The release's functions, each as a command that ends as the release does: `python -m tests.playground.pieces NAME`.

A whole release takes a while, and one of these is enough to need a permission.
"""

import io
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from infra.stages import REPOSITORY, Severity, stage_named
from release import destroy, preview, stacks, verify
from release.__main__ import deploy_service
from release.aws import Aws
from release.build import push
from release.command import run_command
from release.deploy import Cdk
from release.errors import DeploymentError
from release.images import Gate, Images, wait_for_scan
from release.preflight import Plan, require_vpc_quota
from release.watch import last_log_lines


def deployed(aws: Aws) -> str:
    return stacks.outputs(aws.cloudformation, aws.stage.service_stack)["DeployedDigest"]


def stack_events(aws: Aws) -> None:
    stacks.newest_event(aws.cloudformation, aws.stage.service_stack)


def first_deployment(aws: Aws) -> None:
    """A stage that is not there yet, for which there must be room."""
    require_vpc_quota(replace(aws, stage=stage_named("pr-1")))


def image_by_tag(aws: Aws) -> None:
    Images.of(aws).digest("any")


def push_image(aws: Aws) -> None:
    """An image of one layer that no registry has."""
    reference = f"{aws.image_name}:{uuid.uuid4().hex}"
    with io.BytesIO() as archive:
        with tarfile.open(fileobj=archive, mode="w") as layer:
            layer.addfile(tarfile.TarInfo(reference.rpartition(":")[2]))
        subprocess.run(["docker", "import", "-", reference], input=archive.getvalue(), check=True, capture_output=True)
    try:
        push(reference, ecr=aws.ecr, account=aws.account, environment=aws.environment)
    finally:
        subprocess.run(["docker", "rmi", reference], check=True, capture_output=True)


def scan_gate(aws: Aws) -> None:
    gate = Gate.of(Severity.CRITICAL)
    wait_for_scan(aws.ecr, account=aws.account, repository=REPOSITORY, digest=deployed(aws), gate=gate)


def one_more_tag(aws: Aws) -> None:
    Images.of(aws).add_tag(deployed(aws), "playground-000000000000")


def verification(aws: Aws) -> None:
    verify.running_tasks(aws, deployed(aws), seconds=5)


class Fails:
    """A deployment that ends badly."""

    def deploy(self, *_names: str, **_options: Any) -> NoReturn:
        raise DeploymentError("cdk could not deploy")


def failed_deployment(aws: Aws) -> None:
    """A failure is explained by what the watch has seen, or why it saw nothing."""
    deploy_service(cast(Plan, SimpleNamespace(aws=aws)), cast(Cdk, Fails()), deployed(aws), print)


def task_log(aws: Aws) -> None:
    stage = aws.stage
    service = aws.ecs.describe_services(cluster=stage.cluster, services=[stage.service])["services"][0]
    task = aws.ecs.list_tasks(cluster=stage.cluster, serviceName=stage.service)["taskArns"][0]
    last_log_lines(aws, task=task.rsplit("/", 1)[-1], definition=service["taskDefinition"], lines=1)


def outdated_previews(aws: Aws) -> None:
    preview.outdated(aws.cloudformation, days=3, now=datetime.now(UTC))


def emptied_logs(aws: Aws) -> None:
    destroy.empty_bucket(aws, aws.stage.log_bucket(account=aws.account, region=aws.region))


PIECES: dict[str, Callable[[Aws], None]] = {
    piece.__name__: piece
    for piece in (
        stack_events,
        first_deployment,
        image_by_tag,
        push_image,
        scan_gate,
        one_more_tag,
        verification,
        failed_deployment,
        task_log,
        outdated_previews,
        emptied_logs,
    )
}

if __name__ == "__main__":
    run_command("release", lambda: PIECES[sys.argv[1]](Aws.of(stage_named("playground"))))
