"""Verifies a deployment from outside: all tasks run its digest, and the API responds at the base URL."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infra.stages import CONTAINER
from release.aws import Aws
from release.command import ReleaseError, note
from release.deploy import base_url, not_deployed, running_digest
from release.explain import store_causes
from release.images import Images
from release.watch import THREAD, error_lines, get

TASKS_SECONDS = 120
"""The deployment is complete by now, but autoscaling may be changing the number of tasks."""
API_SECONDS = 180.0
"""A new load balancer's name takes a minute or two to resolve."""
STORE_SECONDS = 20.0
"""New permissions take some seconds to take effect."""
POLL_SECONDS = 2
_ACCEPTED = {
    "/healthz": {(200, "OK")},
    f"/api/comment/list/{THREAD}": {(200, "a list"), (404, "NOT-FOUND")},
    "/api/status": {(200, "OK"), (404, "NOT-FOUND")},  # an older image may not have it
}
"""Status codes and `status` of the responses that are expected."""
_STORE_UNAVAILABLE = {(503, "UNAVAILABLE"), (200, "DEGRADED")}


def verify(aws: Aws, digest: str, *, before: str | None = None) -> str:
    """Return the base URL once the digest runs and the API responds. `before` is the digest that ran previously.

    Raises ReleaseError with the causes and the command for a rollback, since ECS considers the deployment healthy.
    """
    address = base_url(aws)
    if not address:
        raise not_deployed(aws)
    note(f"running tasks: {running_tasks(aws, digest)}, all with {digest}")
    began = time.time()
    for path in _ACCEPTED:
        if problem := wait_for(address, path):
            causes = [f"cause: {cause}" for cause in store_causes(error_lines(aws, since=began))]
            rollback = rollback_hint(aws, digest, before)
            raise ReleaseError(f"GET {address}{path} failed: {problem}", *causes, rollback)
    note(f"API and store respond at {address}")
    return address


def rollback_hint(aws: Aws, digest: str, before: str | None) -> str:
    """Return how to roll back to another image that the stage has run."""
    stage = aws.stage.name
    tags = Images(aws).verified_in(stage, other_than=digest, first=before)
    if not tags:
        return f"not rolled back: {stage} has run no other image"
    others = f"; other tags: {', '.join(tags[1:])}" if tags[1:] else ""
    return f"not rolled back: to return to an earlier image, run `make deploy ENV={stage} TAG={tags[0]}`{others}"


def running_tasks(aws: Aws, digest: str) -> int:
    """Return the number of running tasks, all of this digest; raise ReleaseError otherwise."""
    stage = aws.stage
    try:
        aws.ecs.get_waiter("services_stable").wait(
            cluster=stage.cluster,
            services=[stage.service],
            WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": TASKS_SECONDS // POLL_SECONDS},
        )
    except WaiterError as error:
        if "Error" in error.last_response:
            raise ClientError(error.last_response, "DescribeServices") from error
        raise ReleaseError(f"the service {stage.service} is not stable: {_unstable(error.last_response)}") from error
    arns = aws.ecs.list_tasks(cluster=stage.cluster, serviceName=stage.service, desiredStatus="RUNNING")["taskArns"]
    described = aws.ecs.describe_tasks(cluster=stage.cluster, tasks=arns)["tasks"] if arns else []
    tasks = [task for task in described if task["lastStatus"] == "RUNNING"]  # autoscaling may be starting others
    if not tasks:
        raise ReleaseError(f"the service {stage.service} has no running tasks")
    containers = [each for task in tasks for each in task["containers"] if each["name"] == CONTAINER]
    digests = {container.get("imageDigest", "an unknown image") for container in containers}
    if others := digests - {digest}:
        deployed = running_digest(aws)
        why = f"another release has deployed {deployed} in the meantime"
        if deployed == digest:
            why = "ECS rolled it back, or someone changed it outside of CloudFormation; see `make drift`"
        raise ReleaseError(f"the service runs {', '.join(sorted(others))}, not {digest}: {why}")
    return len(tasks)


def _unstable(response: Mapping[str, Any]) -> str:
    """Describe a service that did not become stable."""
    service = next(iter(response.get("services", [])), None)
    if not service:
        return "ECS does not list it"
    reasons = [each.get("rolloutStateReason", "") for each in service["deployments"]]
    tasks = f"{service['runningCount']} of {service['desiredCount']} tasks run"
    return "; ".join([tasks, *filter(None, dict.fromkeys(reasons))])


def wait_for(address: str, path: str) -> str | None:
    """Wait for the expected response; return the last other one, or None. A failing store gets less time."""
    started = time.monotonic()
    while True:
        timeout = API_SECONDS
        try:
            code, body = get(address + path)
            response = (code, _status_of(body))
            if response in _ACCEPTED[path]:
                return None
            problem = f"{code}: {body[:200].decode('utf-8', 'replace')}"
            if response in _STORE_UNAVAILABLE:
                timeout = STORE_SECONDS
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
        if time.monotonic() - started >= timeout:
            return problem
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
