"""Rollbacks, upgrades, lost tasks and scaling cause no failed requests."""

import io
import subprocess
import tarfile

import pytest

from tests.app.playground.cloud import NAME, Clone, Cloud, wait_until
from tests.app.playground.traffic import CLIENTS, Traffic, missing
from tests.client import ask
from tests.repository import ROOT

PREVIOUS = "be5f1a025cfbf010afcd67ea52f9a2f0fc29970e"
"""Last commit of version 0.2."""
IMAGE_FILES = ("app", "requirements.txt", "Dockerfile", ".dockerignore")
SMALL_TARGET = "max_tasks=6, requests_per_target=300,"
"""Stage settings that scale at 5 requests per second per task, so that Traffic needs four tasks."""


def with_the_previous_image(project: Clone) -> None:
    """Replace the image's source files in a clone with those of the previous release."""
    archived = subprocess.run(["git", "archive", PREVIOUS, *IMAGE_FILES], cwd=ROOT, capture_output=True, check=False)
    if archived.returncode:
        shallow = ["git", "rev-parse", "--is-shallow-repository"]
        if subprocess.check_output(shallow, cwd=ROOT, text=True).strip() == "true":  # as in a badly set up workflow
            pytest.fail(f"this clone lacks the previous release, {PREVIOUS[:7]}: run git fetch --unshallow")
        pytest.skip(f"imported without the previous release, {PREVIOUS[:7]}")  # adopters' repositories have no history
    project.git("rm", "-r", "--quiet", *IMAGE_FILES)
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(project.folder, filter="data")
    project.commit()


def test_a_killed_task_fails_at_most_what_it_held_and_is_replaced(cloud: Cloud) -> None:
    cloud.settle()
    before = cloud.containers()
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        traffic.flow_for(1)
        subprocess.run(["docker", "kill", before[0]], check=True, capture_output=True)
        wait_until(lambda: before[0] not in cloud.containers(), "the killed container is gone")
        cloud.settle()
        traffic.flow_for(1)
    assert len(set(cloud.containers()) - set(before)) == 1
    held = [failure.client for failure in traffic.failures]
    assert len(held) == len(set(held)) <= CLIENTS, f"a client has one request under way: {traffic.failures}"
    assert all(failure.what.startswith("ValueError: 502") for failure in traffic.failures), traffic.failures
    assert missing(cloud.url, cloud.acknowledged) == set()
    reason = "Essential container in task exited"
    wait_until(lambda: (reason, 137) in stopped(cloud), "the killed task is described as stopped")


def stopped(cloud: Cloud) -> set[tuple[str, int]]:
    """Return the reason and the exit code of each stopped task."""
    ecs = cloud.client("ecs")
    arns = ecs.list_tasks(cluster=NAME, desiredStatus="STOPPED")["taskArns"]
    tasks = ecs.describe_tasks(cluster=NAME, tasks=arns)["tasks"] if arns else []
    return {(task["stoppedReason"], task["containers"][0].get("exitCode")) for task in tasks}


def test_a_rollback_to_the_previous_release_fails_no_request(cloud: Cloud, project: Clone) -> None:
    """Both releases serve one table during the rollout, so each must read the other's data."""
    with_the_previous_image(project)
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        rolled_back = cloud.release(project.folder)
        traffic.flow_for(1)
    assert rolled_back.returncode == 0, rolled_back.stdout + rolled_back.stderr
    assert traffic.failures == []
    assert missing(cloud.url, cloud.acknowledged) == set(), "the previous release lists all"


def test_an_upgrade_and_scaling_fail_no_request(cloud: Cloud, project: Clone) -> None:
    """Upgrades the previous release, which the test above has deployed.

    It also lowers the number of requests for which the service scales, so the same traffic adds tasks.
    """
    written_before = dict(cloud.acknowledged)
    project.append("app/api.py", "\n# another version\n")
    project.replace("infra/config.py", "max_tasks=6,", SMALL_TARGET)
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        upgraded = cloud.release(project.folder)
        assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
        wait_until(lambda: cloud.service()["desiredCount"] > 2, "requests per target have brought more tasks")
        cloud.settle()
        served = len(cloud.healthy_targets())
        traffic.flow_for(1)
    assert 2 < served < 6, "as many as the load needs, and not all that are allowed"
    deployed = {"digest": cloud.outputs("CommentsService-playground")["DeployedDigest"], "region": "us-east-1"}
    shown = ask(f"{cloud.url}/api/status").body
    assert shown.items() >= {"status": "OK", **deployed}.items()
    assert len(shown["commit"]) == 12

    with Traffic(cloud.url, cloud.acknowledged, clients=1) as rest:
        wait_until(lambda: cloud.service()["desiredCount"] == 2, "fewer requests have removed tasks")
        cloud.settle()
    assert (traffic.failures, rest.failures) == ([], [])
    assert written_before.keys() < cloud.acknowledged.keys()
    assert missing(cloud.url, cloud.acknowledged) == set(), "this release lists all"
