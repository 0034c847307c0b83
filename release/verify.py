"""Proves a release from outside: the tasks that run are of the digest, and the API answers at its public address."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from release import answers
from release.aws import Aws
from release.errors import NotVerifiedError, StoreSilentError
from release.stacks import outputs

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import TaskTypeDef

TASKS_WITHIN = 120.0  # seconds: CloudFormation has waited already; autoscaling may be moving just now
ANSWERS_WITHIN = 180.0  # seconds: the name of a new load balancer takes a minute or two to spread
STORE_WITHIN = 20.0  # seconds: a role's new permission takes a few to be known everywhere
POLL_SECONDS = 2.0


def running_tasks(aws: Aws, digest: str, *, seconds: float = TASKS_WITHIN) -> list[TaskTypeDef]:
    """Return the running tasks, all of this digest; raise NotVerifiedError otherwise."""
    deadline = time.monotonic() + seconds
    while (problem := _rollout_problem(aws)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if problem:
        raise NotVerifiedError(f"the service {aws.stage.service} is not steady: {problem}")
    tasks = _running(aws)
    strangers = {image for task in tasks for image in _digests(task) if image != digest}
    if strangers:
        raise NotVerifiedError(f"the service runs {', '.join(sorted(strangers))}, not {digest}: {_why(aws, digest)}")
    if not tasks:
        raise NotVerifiedError(f"the service {aws.stage.service} runs no task")
    return tasks


def _why(aws: Aws, digest: str) -> str:
    """Return what has brought other tasks than those of the digest."""
    deployed = outputs(aws.cloudformation, aws.stage.service_stack).get("DeployedDigest")
    if deployed != digest:
        return f"another release has deployed {deployed} meanwhile, and the last one counts"
    return "ECS rolled it back, or someone changed it outside of CloudFormation; see `make drift`"


def _rollout_problem(aws: Aws) -> str | None:
    """Return why the service is not yet, or no longer, on one complete deployment."""
    stage = aws.stage
    service = aws.ecs.describe_services(cluster=stage.cluster, services=[stage.service])["services"][0]
    (primary,) = (deployment for deployment in service["deployments"] if deployment["status"] == "PRIMARY")
    if primary.get("rolloutState") == "FAILED":
        raise NotVerifiedError(f"ECS gave the deployment up: {primary.get('rolloutStateReason', 'without a reason')}")
    if primary.get("rolloutState") != "COMPLETED":
        return f"its deployment is {primary.get('rolloutState')}: {primary.get('rolloutStateReason', '')}"
    if service["runningCount"] != service["desiredCount"] or not service["desiredCount"]:
        return f"{service['runningCount']} of {service['desiredCount']} tasks run"
    return None


def _running(aws: Aws) -> list[TaskTypeDef]:
    stage = aws.stage
    arns = aws.ecs.list_tasks(cluster=stage.cluster, serviceName=stage.service, desiredStatus="RUNNING")["taskArns"]
    tasks = aws.ecs.describe_tasks(cluster=stage.cluster, tasks=arns)["tasks"] if arns else []
    return [task for task in tasks if task["lastStatus"] == "RUNNING"]


def _digests(task: TaskTypeDef) -> list[str]:
    """Return what each container was started from; ECS leaves the digest out only of what it did not pull."""
    return [container.get("imageDigest", "an unknown image") for container in task["containers"]]


def api_answers(base_url: str, *, seconds: float = ANSWERS_WITHIN, store_seconds: float = STORE_WITHIN) -> None:
    """Raise NotVerifiedError unless the API answers as it should, StoreSilentError if only its store does not."""
    for path, accept in (
        ("/healthz", answers.is_healthy),
        (f"/api/comment/list/{answers.THREAD}", answers.is_thread),
        ("/api/status", answers.is_good_status),
    ):
        _eventually(f"{base_url}{path}", accept, seconds=seconds, store_seconds=store_seconds)


def _eventually(url: str, accept: Callable[[int, bytes], bool], *, seconds: float, store_seconds: float) -> None:
    started = time.monotonic()
    patience = seconds
    while True:
        kind: type[NotVerifiedError] = NotVerifiedError
        try:
            status, body = answers.get(url)
            problem = f"{status}: {body[:200].decode('utf-8', 'replace')}"
            if accept(status, body):
                return
            if answers.blames_the_store(status, body):
                kind, patience = StoreSilentError, min(seconds, store_seconds)
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
        if time.monotonic() - started >= patience:
            raise kind(f"GET {url} is not answered as it should be: {problem}")
        time.sleep(POLL_SECONDS)
