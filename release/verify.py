"""Verifies a release from outside: all tasks run its digest, and the API responds at the public address."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from release import stacks
from release.aws import Aws
from release.command import run
from release.errors import NotVerifiedError, StoreUnavailableError
from release.explain import store_causes
from release.images import Images
from release.watch import THREAD, error_lines, get

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import TaskTypeDef

TASKS_SECONDS = 120.0
"""The deployment is complete by now, but autoscaling may be changing the number of tasks."""
API_SECONDS = 180.0
"""A new load balancer's name takes a minute or two to resolve."""
STORE_SECONDS = 20.0
"""New permissions take some seconds to take effect."""
POLL_SECONDS = 2.0


def verify(aws: Aws, digest: str, note: Callable[[str], None], *, before: str | None) -> str:
    """Return the public address once the digest runs and the API responds; `before` is the previous digest.

    Raises NotVerifiedError with the causes and the command for a rollback.
    """
    tasks = running_tasks(aws, digest)
    note(f"{len(tasks)} tasks run {digest}")
    if aws.stage.is_playground:
        require_containers(aws, tasks)
        note("each task has a Docker container")
    address = stacks.require_base_url(aws)
    began = time.time()
    try:
        check_api(address)
    except StoreUnavailableError as unavailable:
        causes = [f"cause: {cause}" for cause in store_causes(error_lines(aws, since=began))]
        raise StoreUnavailableError(
            unavailable.summary, *causes, rollback_hint(aws, digest, before=before)
        ) from unavailable
    except NotVerifiedError as wrong:
        raise NotVerifiedError(wrong.summary, rollback_hint(aws, digest, before=before)) from wrong
    note(f"API and store respond at {address}")
    return address


def rollback_hint(aws: Aws, digest: str, *, before: str | None) -> str:
    """Return how to roll back. ECS doesn't, because the deployment passed its health checks."""
    if before == digest:
        return "not rolled back: the previous image is the same"
    stage = aws.stage.name
    tags = Images.of(aws).tags(before) if before else []
    tag = next((tag for tag in tags if tag.startswith(f"{stage}-")), None)
    if not tag:
        return "not rolled back: there is no previous version"
    return f"not rolled back: to return to the previous version, run `make deploy ENV={stage} TAG={tag}`"


def running_tasks(aws: Aws, digest: str, *, seconds: float = TASKS_SECONDS) -> list[TaskTypeDef]:
    """Return the running tasks, all of this digest; raise NotVerifiedError otherwise."""
    stage = aws.stage
    deadline = time.monotonic() + seconds
    while (problem := _rollout_problem(aws)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if problem:
        raise NotVerifiedError(f"the service {stage.service} is not stable: {problem}")
    arns = aws.ecs.list_tasks(cluster=stage.cluster, serviceName=stage.service, desiredStatus="RUNNING")["taskArns"]
    found = aws.ecs.describe_tasks(cluster=stage.cluster, tasks=arns)["tasks"] if arns else []
    tasks = [task for task in found if task["lastStatus"] == "RUNNING"]
    digests = {container.get("imageDigest", "an unknown image") for task in tasks for container in task["containers"]}
    if others := digests - {digest}:
        raise NotVerifiedError(f"the service runs {', '.join(sorted(others))}, not {digest}: {_why(aws, digest)}")
    if not tasks:
        raise NotVerifiedError(f"the service {stage.service} has no running tasks")
    return tasks


def _rollout_problem(aws: Aws) -> str | None:
    """Return why the service is not stable; None if it is. Raise NotVerifiedError if its deployment failed."""
    service = aws.ecs.describe_services(cluster=aws.stage.cluster, services=[aws.stage.service])["services"][0]
    (primary,) = (deployment for deployment in service["deployments"] if deployment["status"] == "PRIMARY")
    state, reason = primary.get("rolloutState"), primary.get("rolloutStateReason", "no reason given")
    if state == "FAILED":
        raise NotVerifiedError(f"the deployment failed: {reason}")
    if state != "COMPLETED":
        return f"its deployment is {state}: {reason}"
    if service["runningCount"] != service["desiredCount"] or not service["desiredCount"]:
        return f"{service['runningCount']} of {service['desiredCount']} tasks run"
    return None


def _why(aws: Aws, digest: str) -> str:
    """Return why tasks with another digest are running."""
    deployed = stacks.outputs(aws.cloudformation, aws.stage.service_stack).get("DeployedDigest")
    if deployed != digest:
        return f"another release has deployed {deployed} in the meantime"
    return "ECS rolled it back, or someone changed it outside of CloudFormation; see `make drift`"


def require_containers(aws: Aws, tasks: list[TaskTypeDef]) -> None:
    """Raise NotVerifiedError for a task of the playground without a container."""
    for task in tasks:
        label = f"label=com.amazonaws.ecs.task-arn={task['taskArn']}"
        if not run(["docker", "ps", "--quiet", "--filter", label], environment=aws.environment):
            name = task["taskArn"].rsplit("/", 1)[-1]
            raise NotVerifiedError(f"task {name} is RUNNING, but has no Docker container")


def check_api(base_url: str, *, seconds: float = API_SECONDS, store_seconds: float = STORE_SECONDS) -> None:
    """Raise NotVerifiedError unless the API responds as expected, StoreUnavailableError if only the store fails."""
    for path, accepted in (
        ("/healthz", {(200, "OK")}),
        (f"/api/comment/list/{THREAD}", {(200, "a list"), (404, "NOT-FOUND")}),
        ("/api/status", {(200, "OK"), (404, "NOT-FOUND")}),  # an older image may not have it
    ):
        _wait_for(f"{base_url}{path}", accepted, seconds=seconds, store_seconds=store_seconds)


def _wait_for(url: str, accepted: set[tuple[int, str]], *, seconds: float, store_seconds: float) -> None:
    started = time.monotonic()
    timeout = seconds
    while True:
        kind: type[NotVerifiedError] = NotVerifiedError
        try:
            status, body = get(url)
            body_status = _status_of(body)
            if (status, body_status) in accepted:
                return
            problem = f"{status}: {body[:200].decode('utf-8', 'replace')}"
            if (status, body_status) in {(503, "UNAVAILABLE"), (200, "DEGRADED")}:
                kind, timeout = StoreUnavailableError, min(seconds, store_seconds)
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
        if time.monotonic() - started >= timeout:
            raise kind(f"GET {url} does not respond as it should: {problem}")
        time.sleep(POLL_SECONDS)


def _status_of(body: bytes) -> str | None:
    """Return the `status` of the API's JSON, or `a list` for a list; None for others, such as a proxy's error page."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        return None
    if isinstance(content, list):
        return "a list"
    return content.get("status") if isinstance(content, dict) else None
