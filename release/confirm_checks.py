"""The checks of `make confirm` on a deployed copy of a stage, in order. They use the commands of a release."""

from __future__ import annotations

import http.client
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.config import PROJECT, WORKLOAD
from infra.model import PLACEHOLDER, Service
from release.aws import Aws
from release.build import push, registry_login
from release.command import CommandError, DeploymentError, ReleaseError, run
from release.deploy import base_url, describe, failures_since, newest_event, running_digest
from release.destroy import destroy
from release.explain import CAUSE
from release.images import Images
from release.logs import past_events, run_query
from release.recording import record
from release.status import NO_CHANGES, drift
from release.verify import running_tasks
from release.watch import Watch, fetch

CLIENTS, PAUSE_SECONDS = 4, 0.2
"""Of the load; a client pauses between requests."""
POSTS = 50
"""Sent at a time, to reach the posting limit."""
WAIT_SECONDS, POLL_SECONDS = 600.0, 2.0
"""AWS: backups of a table lag five minutes behind; the others take less."""
BROKEN = "this image is broken on purpose"


class NotCheckedError(Exception):
    """The check is impossible here; the message is the reason."""


@dataclass
class Copy:
    """A copy of a stage, and what the checks need to work on it."""

    aws: Aws
    tag: str
    """Tag of this commit's image."""
    release: Callable[..., None]
    """Releases the image of `tag`, or with None that of this commit, to a stage."""
    ask: Callable[[str], bool | None]
    """Asks a yes-or-no question; None if there is nobody to ask."""
    recordings: dict[str, dict[str, Any]]
    """By name of the check."""

    @property
    def url(self) -> str:
        return f"{base_url(self.aws)}{WORKLOAD.probe_path or WORKLOAD.health_path}"


@dataclass(frozen=True)
class Check:
    name: str
    run: Callable[[Copy], str]
    """Returns what it saw; raises ReleaseError if something doesn't hold, or NotCheckedError."""
    estimate: int
    """Seconds on AWS (docs/performance.md)."""


def hold(condition: object, problem: str) -> None:
    if not condition:
        raise ReleaseError(problem)


def wait_until(condition: Callable[[], object], problem: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        hold(time.monotonic() < deadline, f"{problem} after {WAIT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


# ---- deployments ----


def deploy_first(copy: Copy) -> str:
    copy.release(copy.aws.stage, tag=None)
    return f"responds at {base_url(copy.aws)}"


def deploy_again(copy: Copy) -> str:
    aws = copy.aws
    if running_digest(aws) != Images(aws).digest(copy.tag):  # an earlier run has gone further
        copy.release(aws.stage, tag=None)
    stacks = (aws.stage.foundation_stack, aws.stage.service_stack)
    before = [newest_event(aws, stack) for stack in stacks]
    copy.release(aws.stage, tag=None)
    hold(before == [newest_event(aws, stack) for stack in stacks], "deploying the same commit again changed a stack")
    return "nothing changed"


def roll_out(copy: Copy) -> str:
    tag = push_variant(copy)
    with load(copy.url) as requests, recorded(copy, "rollout"):
        copy.release(copy.aws.stage, tag=tag)
    return requests.hold()


def roll_back(copy: Copy) -> str:
    aws, causes = copy.aws, [""]
    tag = push_variant(copy, f'ENTRYPOINT ["sh", "-c", "echo error: {BROKEN} >&2; exit 1"]\nCMD []\n')
    before = str(running_digest(aws))
    with load(copy.url) as requests, recorded(copy, "broken image"):
        try:
            copy.release(aws.stage, tag=tag)
        except DeploymentError as failure:
            causes = [line for line in failure.details if line.startswith(CAUSE)]
        else:
            raise ReleaseError("the broken image was released")
    tasks = running_tasks(aws, before)
    hold(any(BROKEN in line for line in causes), f"no cause is what the broken image logged: {', '.join(causes)}")
    return f"{tasks} tasks run the previous image, {requests.hold()}; {causes[0]}"


def push_variant(copy: Copy, instructions: str = "") -> str:
    """Push another image that is built from this commit's, and return its tag."""
    tag = f"{copy.tag[:12]}-dirty-{secrets.token_hex(4)}"
    source, name = (f"{copy.aws.image_name}:{each}" for each in (copy.tag, tag))
    try:
        run(["docker", "image", "inspect", "--format={{.Id}}", source])
    except CommandError:  # built on another machine
        with registry_login(copy.aws) as variables:
            run(["docker", "pull", source], variables=variables)
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-confirm-") as folder:
        (Path(folder) / "Dockerfile").write_text(f"FROM {source}\nLABEL {PROJECT}.confirm={tag}\n{instructions}")
        run(["docker", "build", f"--platform={copy.aws.stage.architecture.value}", f"--tag={name}", folder])
    push(copy.aws, tag)
    return tag


@contextmanager
def recorded(copy: Copy, name: str) -> Iterator[None]:
    """Record what CloudFormation and ECS report meanwhile."""
    began, stack = time.time(), copy.aws.stage.service_stack
    mark = newest_event(copy.aws, stack)
    yield
    copy.recordings[name] = record(Watch(copy.aws, since=began).look_back(), failures_since(copy.aws, stack, mark))


@dataclass
class Requests:
    sent: int = 0
    failed: list[str] = field(default_factory=list)

    def hold(self, *, failed: int = 0) -> str:
        """Return the numbers; raise ReleaseError if more than `failed` requests failed."""
        numbers = f"{len(self.failed)} of {self.sent} requests failed"
        hold(self.sent and len(self.failed) <= failed, f"{numbers}: {', '.join(dict.fromkeys(self.failed))}")
        return numbers


@contextmanager
def load(url: str) -> Iterator[Requests]:
    """Send requests from several clients, and count those without a response or with status 5xx."""
    requests, ended = Requests(), threading.Event()

    def send_until_the_end() -> None:
        while not ended.wait(PAUSE_SECONDS):
            try:
                status, _ = fetch(url)
                problem = f"status {status}" if status >= http.client.INTERNAL_SERVER_ERROR else ""
            except (OSError, http.client.HTTPException) as error:
                problem = str(error) or type(error).__name__
            requests.sent += 1
            requests.failed += [problem] if problem else []

    with ThreadPoolExecutor(CLIENTS, "load") as pool:
        for _ in range(CLIENTS):
            pool.submit(send_until_the_end)
        try:
            yield requests
        finally:
            ended.set()


def replace_task(copy: Copy) -> str:
    aws, digest = copy.aws, str(running_digest(copy.aws))

    def tasks() -> list[str]:
        listed = aws.ecs.list_tasks(cluster=aws.stage.cluster, serviceName=aws.stage.service, desiredStatus="RUNNING")
        return listed["taskArns"]

    stopped, *others = tasks()
    with load(copy.url) as requests, recorded(copy, "stopped task"):
        aws.ecs.stop_task(cluster=aws.stage.cluster, task=stopped, reason="make confirm")
        wait_until(lambda: stopped not in (now := tasks()) and len(now) > len(others), "the task is not replaced")
        running = running_tasks(aws, digest)
    return f"{running} tasks run again, {requests.hold(failed=CLIENTS)}"  # it may have had a request of each client


# ---- operations ----


def send_alarm(copy: Copy) -> str:
    stage, cloudwatch = copy.aws.stage, copy.aws.untyped("cloudwatch")
    if stage.is_playground:
        raise NotCheckedError("the playground sends no email")
    if not stage.alarm_address:
        raise NotCheckedError(f"{stage.copy_of} has no alarm_email")
    if copy.ask(f"Have you confirmed the subscription in AWS's new email to {stage.alarm_address}?") is None:
        raise NotCheckedError("somebody must confirm that it arrives: run this on a terminal, without YES=1")
    alarm = f"{stage.service}-cpu"
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="make confirm")
    hold(copy.ask(f"Has an email about {alarm} arrived? It may take some minutes."), "no email arrived")
    return f"{stage.alarm_address} received it"


def limit_posts(copy: Copy) -> str:
    stage, url, sent = copy.aws.stage, f"{base_url(copy.aws)}{WORKLOAD.post_path}", 0
    if stage.is_playground:
        raise NotCheckedError("the playground evaluates no rules of WAF")

    def is_limited() -> bool:
        nonlocal sent
        sent += POSTS
        return json.dumps(WORKLOAD.limited_body) in list(pool.map(post, [url] * POSTS))

    with ThreadPoolExecutor(CLIENTS, "posts") as pool:
        wait_until(is_limited, f"the web ACL, whose post_limit is {stage.post_limit}, limited no post")
    return f"limited after {sent} posts or less; post_limit is {stage.post_limit}"


def post(url: str) -> str:
    """Send a request without a body, which stores nothing, and return the response's body."""
    with suppress(OSError, http.client.HTTPException):
        return str(fetch(url, post=b"")[1], "utf-8", "replace")
    return ""


def compare(copy: Copy) -> str:
    hold(drift(copy.aws.stage) == NO_CHANGES, "resources differ from their templates, see above")
    return "no resource differs from its template, see above for those that CloudFormation doesn't compare"


def restore(copy: Copy) -> str:
    stage, aws = copy.aws.stage, copy.aws
    owned = [each for each in WORKLOAD.owns if each.service is Service.DYNAMODB]
    if not owned:
        raise NotCheckedError("the workload owns no table")
    if stage.is_playground:
        raise NotCheckedError("the playground has no point-in-time recovery")
    names = [stage.physical_name(each, account=aws.account, region=aws.region) for each in owned]
    for name in names:
        restore_table(aws.untyped("dynamodb"), name)
    return f"an item was restored from {' and '.join(names)}"


def restore_table(dynamodb: Any, name: str) -> None:
    """Write an item, restore the table to a later time, look for the item, and delete the restored table."""
    restored = f"{name}-restored"
    table = dynamodb.describe_table(TableName=name)["Table"]
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    values = {"S": {"S": "confirm"}, "N": {"N": "1"}, "B": {"B": b"confirm"}}
    key = {each["AttributeName"]: values[types[each["AttributeName"]]] for each in table["KeySchema"]}
    dynamodb.put_item(TableName=name, Item=key)
    written = time.time()

    def has_backup() -> bool:
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        latest = backups["PointInTimeRecoveryDescription"].get("LatestRestorableDateTime")
        return bool(latest and latest.timestamp() > written)

    wait_until(has_backup, f"{name} has no backup of the item")
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=name, TargetTableName=restored, UseLatestRestorableTime=True
    )
    try:
        dynamodb.get_waiter("table_exists").wait(TableName=restored, WaiterConfig={"Delay": 20, "MaxAttempts": 180})
        hold("Item" in dynamodb.get_item(TableName=restored, Key=key), f"{restored} lacks the item")
    finally:  # AWS refuses this while the table is being created
        dynamodb.delete_table(TableName=restored)


def read_log(copy: Copy) -> str:
    group = copy.aws.stage.app_log_group
    wait_until(lambda: next(past_events(copy.aws, since=0, pattern=""), None), f"{group} has no line")
    return f"{group} has lines"


def run_queries(copy: Copy) -> str:
    queries = {name: query for name, query in WORKLOAD.queries.items() if PLACEHOLDER not in query}
    if not queries:
        raise NotCheckedError("the workload has no saved queries")
    if copy.aws.stage.is_playground:
        raise NotCheckedError("the playground has no CloudWatch Logs Insights")
    rows = {name: len(run_query(copy.aws, query, since=time.time() - 3600)) for name, query in queries.items()}
    hold(any(rows.values()), f"no query found a line of the last hour: {', '.join(rows)}")
    return f"rows: {', '.join(f'{name} {count}' for name, count in rows.items())}"


def delete(copy: Copy) -> str:
    stage = copy.aws.stage
    destroy(stage, confirmed=stage.name)
    left = [name for name in (stage.service_stack, stage.foundation_stack) if describe(copy.aws, name)]
    hold(not left, f"still there: {', '.join(left)}")
    return "both stacks are gone"


CHECKS = (
    Check("deploy", deploy_first, 480),
    Check("deploy again", deploy_again, 60),
    Check("rollout under load", roll_out, 240),
    Check("broken image", roll_back, 180),
    Check("stopped task", replace_task, 60),
    Check("email of an alarm", send_alarm, 180),
    Check("posting limit", limit_posts, 90),
    Check("drift", compare, 120),
    Check("restored table", restore, 1500),
    Check("log", read_log, 20),
    Check("saved queries", run_queries, 20),
    Check("destroy", delete, 480),
)
