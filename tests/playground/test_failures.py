"""Releases that fail: each names its cause, as docs/failures.md lists it, and the next step."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.playground.cloud import NAME, Cloud, changed_project, committed, release, start_release, wait_until
from tests.playground.traffic import CLIENTS, Traffic, missing

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs" / "failures.md"

pytestmark = pytest.mark.xdist_group("playground")

NEVER_HEALTHY = """

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

ANSWERS_500 = """

plain = app


def app(environ, start_response):
    if environ["PATH_INFO"] == "/healthz":
        return plain(environ, start_response)
    start_response("500 Internal Server Error", [("Content-Length", "0")])
    return []
"""

HOARDS = """
hoard = bytearray(1024 * 1024 * 1024)
for at in range(0, len(hoard), 4096):
    hoard[at] = 1
"""
"""In the master: the container is killed, and not only its worker."""


def fails_as_documented(failed: subprocess.CompletedProcess[str], cause: str, *, next_step: str) -> None:
    """Expect a cause that the document lists and the next step, without a stack trace."""
    assert failed.returncode != 0, failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr
    assert cause in DOCUMENT.read_text()
    assert cause in failed.stderr
    assert next_step in failed.stderr


def shorten_the_wait(project: Path) -> None:
    """Let ECS judge a task sooner than it would: the test waits for it."""
    grace_period = "GRACE_PERIOD = cdk.Duration.seconds({})"
    committed(project, "infra/constructs/fargate_service.py", grace_period.format(30), grace_period.format(3))


def rolled_back(cloud: Cloud, project: Path, acknowledged: dict[int, list[str]], *, cause: str, next_step: str) -> None:
    """Release what must fail, and see that nobody notices and that what ran before still runs."""
    cloud.settle(2)
    before = cloud.service()["taskDefinition"]
    with Traffic(cloud.url, acknowledged) as traffic:
        failed = release(project)
        cloud.settle()  # the load may need more than two
    fails_as_documented(failed, cause, next_step=next_step)
    assert cloud.service()["taskDefinition"] == before
    assert traffic.failures == []
    assert traffic.answered > CLIENTS


def test_an_image_that_crashes_at_its_start_is_rolled_back(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    project = changed_project(tmp_path / "project", ending_of_api=CRASHES)
    rolled_back(
        cloud, project, acknowledged, cause="the container", next_step="RuntimeError: this version cannot start"
    )


def test_an_image_that_is_never_healthy_is_rolled_back(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    project = changed_project(tmp_path / "project", ending_of_api=NEVER_HEALTHY)
    shorten_the_wait(project)
    rolled_back(
        cloud,
        project,
        acknowledged,
        cause="/healthz responds with the wrong status",
        next_step="the task's log says why",
    )


def test_an_image_that_never_listens_is_rolled_back(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    project = changed_project(tmp_path / "project", ending_of_api="")
    committed(project, "Dockerfile", "0.0.0.0:8000", "0.0.0.0:8001")
    shorten_the_wait(project)
    rolled_back(cloud, project, acknowledged, cause="nothing responds to the health check", next_step="check the port")


def test_an_image_that_runs_out_of_memory_is_rolled_back(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    project = changed_project(tmp_path / "project", ending_of_api="", ending_of_server=HOARDS)
    rolled_back(cloud, project, acknowledged, cause="the container ran out of memory", next_step="raise Stage.memory")


def test_an_image_that_has_left_the_registry_is_rolled_back(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    """It is deleted between the push and the first task, as a lifecycle rule of too few days would."""
    project = changed_project(tmp_path / "project", ending_of_api="\n# another image\n")
    cloud.settle(2)
    wait_until(cloud.is_deployed, "the deployment before is complete: it is the one to go back to")
    before = cloud.service()["taskDefinition"]
    with Traffic(cloud.url, acknowledged) as traffic:
        running = start_release(project)
        seen = running.until("==> service at ")
        digest = re.search(r"sha256:\w{64}", seen)
        assert digest
        cloud.client("ecr").batch_delete_image(repositoryName="comments", imageIds=[{"imageDigest": digest[0]}])
        failed = running.finished()
        cloud.settle(2)
    fails_as_documented(failed, "the image is no longer in the registry", next_step="run the release again")
    assert cloud.service()["taskDefinition"] == before
    assert traffic.failures == []


def test_an_image_that_answers_5xx_is_rolled_back_by_its_alarms(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    cloud.settle(2)
    wait_until(lambda: quiet(cloud), "no alarm of the test before fires: ECS would monitor none")
    before = cloud.service()["taskDefinition"]
    project = changed_project(tmp_path / "project", ending_of_api=ANSWERS_500)
    with Traffic(cloud.url, acknowledged) as traffic:
        failed = release(project)
        cloud.settle(2)
        during = len(traffic.failures)
        traffic.flow_for(2)
    fails_as_documented(failed, "an alarm rolled the deployment back", next_step="docs/operations.md")
    assert cloud.service()["taskDefinition"] == before
    assert during
    assert len(traffic.failures) == during


def test_a_task_role_without_a_permission_is_rolled_back(cloud: Cloud, tmp_path: Path) -> None:
    """Nobody but the release reads from the stage, and its alarm sees it all the same."""
    wait_until(lambda: quiet(cloud), "no alarm of the test before fires")
    before = cloud.service()["taskDefinition"]
    project = changed_project(tmp_path / "project", ending_of_api="\n# another image\n")
    committed(project, "infra/stacks/service.py", '("Query", "GetItem"', '("GetItem"')
    failed = release(project)
    cloud.settle(2)
    fails_as_documented(failed, "the role CommentsService-", next_step="infra/stacks/service.py")
    assert "lacks dynamodb:Query" in failed.stderr
    assert cloud.service()["taskDefinition"] == before
    with Traffic(cloud.url, {}) as traffic:
        traffic.flow_for(1)
    assert traffic.failures == []


def quiet(cloud: Cloud) -> bool:
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNames=[f"{NAME}-5xx", f"{NAME}-latency"])["MetricAlarms"]
    return all(alarm["StateValue"] != "ALARM" for alarm in alarms)


def test_a_good_release_follows_on_all_of_these_without_a_hand(
    cloud: Cloud, acknowledged: dict[int, list[str]]
) -> None:
    with Traffic(cloud.url, acknowledged) as traffic:
        released = release(PROJECT)
        cloud.settle()
    assert released.returncode == 0, released.stdout + released.stderr
    assert traffic.failures == []


@pytest.fixture
def table_taken_away(cloud: Cloud) -> Iterator[Callable[[], None]]:
    """Without the stage's table; what is called puts it back with all that was in it, as a backup's restore does."""
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
        for first in range(0, len(items), 25):  # AWS: at most 25 in a batch
            puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
            assert not dynamodb.batch_write_item(RequestItems={NAME: puts})["UnprocessedItems"]

    yield restore
    restore()


def test_a_table_that_is_missing_fails_the_release_and_loses_nothing_once_restored(
    cloud: Cloud, table_taken_away: Callable[[], None], acknowledged: dict[int, list[str]]
) -> None:
    """The image is the one that runs, so that ECS has nothing to deploy and no alarm anything to roll back."""
    failed = release(PROJECT)
    fails_as_documented(failed, "the table ", next_step="restore it from a backup")
    assert failed.stdout.count("(no changes)") == 3, "a second run of one commit changes none of the three stacks"
    table_taken_away()
    assert missing(cloud.url, acknowledged) == set()


def test_credentials_that_are_absent_are_asked_for(tmp_path: Path) -> None:
    project = changed_project(tmp_path / "project", ending_of_api="")
    nobody = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    failed = release(project, stage="dev", environment=nobody)
    fails_as_documented(failed, "no AWS credentials", next_step="aws sso login")


@pytest.mark.usefixtures("cloud")
def test_credentials_of_another_account_are_refused(tmp_path: Path) -> None:
    project = changed_project(tmp_path / "project", ending_of_api="")
    committed(project, "infra/stages.py", 'account="000000000000"', 'account="111122223333"')
    fails_as_documented(release(project), "contradictory account", next_step="infra/stages.py")


def test_a_region_that_is_not_bootstrapped_is_told_the_command(playground: dict[str, str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    variables = playground | {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    (elsewhere / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    failed = release(PROJECT, environment=os.environ | {"PLAYGROUND_DIR": str(elsewhere)})
    fails_as_documented(failed, "is not bootstrapped", next_step="make bootstrap")
