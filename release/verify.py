"""Verifies a deployment from outside: all tasks run its digest, and the service responds at the base URL."""

import http.client
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infra.config import DNS_OUTPUT, WORKLOAD
from infra.model import Response, SmokeTest
from release.aws import Aws
from release.aws_errors import evidence_of
from release.command import ReleaseError
from release.deploy import base_url, not_deployed, outputs, running_digest
from release.display import note
from release.explain import outage_causes
from release.images import Images
from release.logs import error_lines
from release.watch import fetch

TASKS_SECONDS = 120
"""The deployment is complete by now, but autoscaling may be changing the number of tasks."""
RESPONSE_SECONDS = 180.0
"""A new load balancer's name takes a minute or two to resolve."""
OUTAGE_SECONDS = 20.0
"""New permissions take some seconds to take effect."""
POLL_SECONDS = 2


def verify(aws: Aws, digest: str, *, images: Images, before: str | None = None) -> str:
    """Return the base URL once the digest runs and its smoke tests pass. `before` is the digest that ran previously.

    Raises ReleaseError with the causes and the command for a rollback, since ECS considers the deployment healthy.
    """
    address = base_url(aws)
    if not address:
        raise not_deployed(aws)
    note(f"running tasks: {running_tasks(aws, digest)}, all with {digest}")
    if (domain := aws.stage.domain) and not domain.hosted_zone_id:
        note(f"this record must exist in the DNS: {outputs(aws, aws.stage.service_stack)[DNS_OUTPUT]}")
    began = time.time()
    tests = WORKLOAD.smoke_tests
    if WORKLOAD.health_path not in {test.path for test in tests}:
        # It may have changed for running tasks, without a deployment that ECS could roll back.
        tests = (SmokeTest(path=WORKLOAD.health_path), *tests)
    for test in tests:
        if problem := wait_for(address, test):
            causes = evidence_of(lambda: (f"cause: {each}" for each in outage_causes(error_lines(aws, since=began))))
            rollback = evidence_of(lambda: [rollback_hint(aws.stage.name, images, digest=digest, before=before)])
            raise ReleaseError(f"GET {address}{test.path} failed: {problem}", *causes, *rollback)
    note(f"the {WORKLOAD.description} responds at {address}")
    return address


def rollback_hint(stage: str, images: Images, *, digest: str, before: str | None) -> str:
    """Return how to roll back to another image that the stage has run."""
    tags = images.verified_in(stage, other_than=digest, first=before)
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
    pages = aws.ecs.get_paginator("list_tasks").paginate(
        cluster=stage.cluster, serviceName=stage.service, desiredStatus="RUNNING"
    )
    tasks = [
        task
        for page in pages
        if (arns := page["taskArns"])
        for task in aws.ecs.describe_tasks(cluster=stage.cluster, tasks=arns)["tasks"]
        if task["lastStatus"] == "RUNNING"  # autoscaling may be starting others
    ]
    if not tasks:
        raise ReleaseError(f"the service {stage.service} has no running tasks")
    containers = [each for task in tasks for each in task["containers"] if each["name"] == WORKLOAD.container]
    digests = {container.get("imageDigest", "an unknown image") for container in containers}
    if others := digests - {digest}:
        why = evidence_of(lambda: [_why_replaced(aws, digest)])
        raise ReleaseError(f"the service runs {', '.join(sorted(others))}, not {digest}: {why[0]}")
    return len(tasks)


def _why_replaced(aws: Aws, digest: str) -> str:
    """Return why the service runs another image, although this digest was deployed."""
    deployed = running_digest(aws)
    if deployed == digest:
        return "ECS rolled it back, or someone changed it outside of CloudFormation; see `make drift`"
    return f"another release has deployed {deployed} in the meantime"


def _unstable(response: Mapping[str, Any]) -> str:
    """Describe a service that did not become stable."""
    service = next(iter(response.get("services", [])), None)
    if not service:
        return "ECS does not list it"
    reasons = [each.get("rolloutStateReason", "") for each in service["deployments"]]
    tasks = f"{service['runningCount']} of {service['desiredCount']} tasks run"
    return "; ".join([tasks, *filter(None, dict.fromkeys(reasons))])


def wait_for(address: str, test: SmokeTest) -> str | None:
    """Wait for an expected response; return the last other one, or None. An outage gets less time."""
    started = time.monotonic()
    while True:
        timeout = RESPONSE_SECONDS
        try:
            code, content = fetch(address + test.path)
            body = content.decode("utf-8", "replace")
            if _is_one_of(test.expected, code, body):
                return None
            problem = f"{code}: {body[:200]}"
            if _is_one_of(WORKLOAD.failures.responses, code, body):
                timeout = OUTAGE_SECONDS
        except (OSError, http.client.HTTPException) as error:
            problem = str(error) or type(error).__name__
        if time.monotonic() - started >= timeout:
            return problem
        time.sleep(POLL_SECONDS)


def _is_one_of(responses: Iterable[Response], code: int, body: str) -> bool:
    return any(code == each.status and re.search(each.body, body) for each in responses)
