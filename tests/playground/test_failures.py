"""Failed releases: the previous version continues to serve, and the message names the cause and evidence."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.playground.conftest import NAME, PROJECT, Clone, Cloud, as_make, wait_until
from tests.playground.traffic import CLIENTS, Traffic, missing

pytestmark = pytest.mark.xdist_group("playground")

FAILED, NOTHING_CHANGED = 1, 2
"""Exit statuses of the release command."""

UNHEALTHY = """

plain = app


def app(environ, start_response):
    if environ["PATH_INFO"] == "/healthz":
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return []
    return plain(environ, start_response)
"""
CRASHES = """

raise RuntimeError("this version cannot start")
"""
FAILS_TO_POST = """

plain = app


def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        start_response("500 Internal Server Error", [("Content-Length", "0")])
        return []
    return plain(environ, start_response)
"""
HOARDS = """
hoard = bytearray(1024 * 1024 * 1024)
for at in range(0, len(hoard), 4096):
    hoard[at] = 1
"""
"""Runs in the master process, so that the whole container is killed and not only a worker."""


def crashes(project: Clone) -> None:
    project.append("app/api.py", CRASHES)


def hoards(project: Clone) -> None:
    project.append("app/gunicorn.conf.py", HOARDS)


def never_listens(project: Clone) -> None:
    project.replace("Dockerfile", "0.0.0.0:8000", "0.0.0.0:8001")
    shorten_the_wait(project)


def is_unhealthy(project: Clone) -> None:
    project.append("app/api.py", UNHEALTHY)
    shorten_the_wait(project)


def shorten_the_wait(project: Clone) -> None:
    """Shorten the health check grace period to speed up the test."""
    file, grace_period = "infra/constructs/fargate_service.py", "GRACE_PERIOD = cdk.Duration.seconds({})"
    project.replace(file, grace_period.format(30), grace_period.format(10))


@dataclass(frozen=True)
class Case:
    """A broken version that must not replace the running one."""

    name: str
    spoil: Callable[[Clone], None]
    said: tuple[str, ...]
    """Patterns that the error message must contain, for the cause and the evidence."""

    def __str__(self) -> str:
        return self.name


CASES = (
    Case("crash", crashes, ("exits", "this version cannot start")),
    Case("out of memory", hoards, ("memory", "137")),
    Case("wrong port", never_listens, ("health check", "8001")),
    Case("unhealthy", is_unhealthy, (r"\[503\]",)),
)


def failed_with(failed: subprocess.CompletedProcess[str], *said: str, status: int = FAILED) -> None:
    """Check a failed release: exit status, no stack trace, and a message that matches each pattern in `said`."""
    assert failed.returncode == status, failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert "failed" in failed.stderr.splitlines()[0]
    for words in said:
        assert re.search(words, failed.stderr, re.IGNORECASE), f"{words!r} is not in {failed.stderr}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_version_that_does_not_come_up_is_rolled_back_and_named(cloud: Cloud, project: Clone, case: Case) -> None:
    before = cloud.service()["taskDefinition"]
    case.spoil(project)
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        failed = cloud.release(project.folder)
    failed_with(failed, "rolled back", "cause: ", *case.said)
    assert cloud.service()["taskDefinition"] == before
    assert traffic.failures == []
    assert traffic.answered > CLIENTS


def test_an_image_that_has_left_the_registry_is_rolled_back(cloud: Cloud, project: Clone) -> None:
    """Deletes the image between the push and the first task, as an overly strict lifecycle rule would."""
    project.append("app/api.py", "\n# another image\n")
    before = cloud.service()["taskDefinition"]
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        running = cloud.start_release(project.folder)
        digest = re.search(r"sha256:\w{64}", running.until("sha256:"))
        assert digest
        cloud.client("ecr").batch_delete_image(repositoryName="comments", imageIds=[{"imageDigest": digest[0]}])
        failed = running.finished()
    failed_with(failed, "cause: .*registry", "CannotPullContainerError")
    assert cloud.service()["taskDefinition"] == before
    assert traffic.failures == []


def test_a_version_that_fails_to_post_is_rolled_back_by_its_alarm(cloud: Cloud, project: Clone) -> None:
    wait_until(cloud.is_quiet, "no alarm fires: ECS would monitor none")
    before = cloud.service()["taskDefinition"]
    project.append("app/api.py", FAILS_TO_POST)
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        failed = cloud.release(project.folder)
        cloud.settle()
        during = len(traffic.failures)
        traffic.flow_for(1)
    failed_with(failed, "cause: .*alarm", f"{NAME}-5xx")
    assert cloud.service()["taskDefinition"] == before
    assert during
    assert len(traffic.failures) == during


def test_a_task_role_without_a_permission_is_rolled_back_and_named(cloud: Cloud, project: Clone) -> None:
    """The release's own requests are the only traffic, and they are enough to trigger the alarm."""
    wait_until(cloud.is_quiet, "no alarm of the test before fires")
    before = cloud.service()["taskDefinition"]
    project.append("app/api.py", "\n# another image\n")
    project.replace("infra/stacks/service.py", '("Query", "GetItem"', '("GetItem"')
    failed_with(cloud.release(project.folder), "cause: .*dynamodb:Query", f"{NAME}-5xx")
    assert cloud.service()["taskDefinition"] == before
    with Traffic(cloud.url, {}) as traffic:
        traffic.flow_for(1)
    assert traffic.failures == []


@pytest.fixture
def table_taken_away(cloud: Cloud) -> Iterator[Callable[[], None]]:
    """Delete the stage's table; yields a function that recreates it with all items, like restoring a backup."""
    dynamodb = cloud.client("dynamodb")
    described = dynamodb.describe_table(TableName=NAME)["Table"]
    items: list[dict[str, Any]] = [
        item for page in dynamodb.get_paginator("scan").paginate(TableName=NAME) for item in page["Items"]
    ]
    dynamodb.delete_table(TableName=NAME)

    def restore() -> None:
        if NAME in dynamodb.list_tables()["TableNames"]:
            return
        kept = {key: described[key] for key in ("TableName", "KeySchema", "AttributeDefinitions")}
        dynamodb.create_table(**kept, BillingMode="PAY_PER_REQUEST")
        for first in range(0, len(items), 25):  # AWS: at most 25 items per batch
            puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
            assert not dynamodb.batch_write_item(RequestItems={NAME: puts})["UnprocessedItems"]

    yield restore
    restore()


def test_a_table_that_is_missing_fails_the_release_and_loses_nothing_once_restored(
    cloud: Cloud, table_taken_away: Callable[[], None]
) -> None:
    """Releases the running image again, so ECS has nothing to deploy and the alarms have nothing to roll back."""
    (digest,) = {container["image"].partition("@")[2] for container in cloud.task_definition()["containerDefinitions"]}
    images = cloud.client("ecr").describe_images(repositoryName="comments", imageIds=[{"imageDigest": digest}])
    tag = next(tag for tag in images["imageDetails"][0]["imageTags"] if tag.startswith("playground-"))
    failed = cloud.release(PROJECT, "playground", "--tag", tag)
    failed_with(failed, f"cause: .*table {NAME}")
    table_taken_away()
    assert missing(cloud.url, cloud.acknowledged) == set()


def test_credentials_that_are_absent_or_of_another_account_are_refused(
    cloud: Cloud, project: Clone, tmp_path: Path
) -> None:
    nobody = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    absent = cloud.release(project.folder, "dev", variables=as_make(nobody))
    failed_with(absent, "AWS credentials", status=NOTHING_CHANGED)
    project.replace("infra/stages.py", 'account="000000000000"', 'account="111122223333"')
    failed_with(cloud.release(project.folder), "111122223333", status=NOTHING_CHANGED)


def test_a_region_that_is_not_bootstrapped_names_the_command(cloud: Cloud, tmp_path: Path) -> None:
    variables = cloud.environment | {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    (tmp_path / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    failed = cloud.release(PROJECT, variables=as_make(os.environ | {"PLAYGROUND_DIR": str(tmp_path)}))
    failed_with(failed, "make bootstrap ENV=playground", status=NOTHING_CHANGED)
