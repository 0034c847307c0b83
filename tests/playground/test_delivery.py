"""What the readers of a site notice while its comment service is deployed and scaled, and a task dies: nothing."""

import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.playground.cloud import Cloud, changed_project, release, wait_until
from tests.playground.traffic import CLIENTS, Traffic, missing

pytestmark = pytest.mark.xdist_group("playground")

ANOTHER_VERSION = """

plain = app


def app(environ, start_response):
    def start(status, headers, exc_info=None):
        return start_response(status, [*headers, ("X-Version", "another")], exc_info)

    return plain(environ, start)
"""


def version(url: str) -> str | None:
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:
        header: str | None = response.headers.get("X-Version")
        return header


def test_a_deployment_of_a_changed_image_fails_no_request(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    project = changed_project(tmp_path / "project", ending_of_api=ANOTHER_VERSION)
    with Traffic(cloud.url, acknowledged) as traffic:
        released = release(project)
        traffic.flow_for(2)
    assert released.returncode == 0, released.stdout + released.stderr
    assert version(cloud.url) == "another"
    assert traffic.failures == []
    assert traffic.answered > CLIENTS


def test_scaling_out_and_in_fails_no_request(cloud: Cloud, acknowledged: dict[int, list[str]]) -> None:
    cloud.settle(2)
    with Traffic(cloud.url, acknowledged) as traffic:
        cloud.set_minimum(4)
        cloud.settle(4)
        traffic.flow_for(2)
        cloud.set_minimum(2)
        cloud.settle(2)
        traffic.flow_for(2)
    assert traffic.failures == []
    assert traffic.answered > CLIENTS


def test_a_killed_task_fails_at_most_what_it_held_and_is_replaced(
    cloud: Cloud, acknowledged: dict[int, list[str]]
) -> None:
    cloud.settle(2)
    before = cloud.containers()
    with Traffic(cloud.url, acknowledged) as traffic:
        traffic.flow_for(2)
        subprocess.run(["docker", "kill", before[0]], check=True, capture_output=True)
        wait_until(lambda: before[0] not in cloud.containers(), "the killed container is gone")
        cloud.settle(2)
        traffic.flow_for(2)
    assert len(set(cloud.containers()) - set(before)) == 1
    held = [failure.client for failure in traffic.failures]
    assert len(held) == len(set(held)) <= CLIENTS, f"a client has one request under way: {traffic.failures}"
    assert all(failure.what.startswith("ValueError: 502") for failure in traffic.failures), traffic.failures


def test_a_killed_task_is_described_with_its_exit_code(cloud: Cloud) -> None:
    cloud.settle(2)
    subprocess.run(["docker", "kill", cloud.containers()[0]], check=True, capture_output=True)
    ecs = cloud.client("ecs")

    def newest() -> dict[str, object]:
        arns = ecs.list_tasks(cluster="comments-playground", desiredStatus="STOPPED")["taskArns"]
        tasks = ecs.describe_tasks(cluster="comments-playground", tasks=arns)["tasks"] if arns else []
        ended = [task for task in tasks if task["containers"][0].get("exitCode") == 137]
        return dict(max(ended, key=lambda task: str(task["stoppedAt"]), default={}))

    wait_until(lambda: bool(newest()), "the killed task is described as stopped")
    assert newest()["stoppedReason"] == "Essential container in task exited"
    cloud.settle(2)


def test_every_acknowledged_comment_is_listed_afterwards(cloud: Cloud, acknowledged: dict[int, list[str]]) -> None:
    with Traffic(cloud.url, acknowledged) as traffic:
        traffic.flow_for(1)
    assert sum(map(len, acknowledged.values())) > CLIENTS
    assert missing(cloud.url, acknowledged) == set()
