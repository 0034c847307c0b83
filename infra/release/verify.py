"""Proves a release from outside: the tasks that run are of the digest, and the API answers at its public address."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.release.aws import Aws
from infra.release.errors import NotVerifiedError
from infra.release.stacks import outputs

if TYPE_CHECKING:
    from types_boto3_ecs.type_defs import TaskTypeDef

TASKS_WITHIN = 120.0  # seconds: CloudFormation has waited already; autoscaling may be moving just now
ANSWERS_WITHIN = 180.0  # seconds: the name of a new load balancer takes a minute or two to spread
POLL_SECONDS = 2.0
TIMEOUT = 5.0
THREAD = 2**53 - 1  # the last content id that the API takes, so no likely thread; reading it reaches the store


def running_tasks(aws: Aws, digest: str, *, seconds: float = TASKS_WITHIN) -> list[str]:
    """Return the ARNs of the running tasks, all of this digest; raise NotVerifiedError otherwise."""
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
    return [task["taskArn"] for task in tasks]


def _why(aws: Aws, digest: str) -> str:
    """Return what has brought other tasks than those of the digest."""
    deployed = outputs(aws.cloudformation, aws.stage.service_stack).get("ImageDigest")
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


def api_answers(base_url: str, *, seconds: float = ANSWERS_WITHIN) -> None:
    """Raise NotVerifiedError unless the health route and a thread are answered, as the API answers them."""
    _eventually(f"{base_url}/healthz", _healthy, seconds=seconds)
    _eventually(f"{base_url}/api/comment/list/{THREAD}", _thread, seconds=seconds)


def _healthy(status: int, _body: bytes) -> bool:
    return status == http.client.OK


def _thread(status: int, body: bytes) -> bool:
    """Comments, or our own word for none; a 404 of anything else between here and there does not count."""
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    none = status == http.client.NOT_FOUND and isinstance(answer, dict) and answer.get("status") == "NOT-FOUND"
    return none or (status == http.client.OK and isinstance(answer, list))


def _eventually(url: str, accept: Callable[[int, bytes], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            status, body = _get(url)
            problem = f"{status}: {body[:200].decode('utf-8', 'replace')}"
            if accept(status, body):
                return
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
        if time.monotonic() >= deadline:
            raise NotVerifiedError(f"GET {url} is not answered as it should be: {problem}")
        time.sleep(POLL_SECONDS)


def _get(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path, headers={"User-Agent": "comments-release"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
