"""Failed releases: the previous version continues to serve, and the message names the cause and evidence."""

import json
import random
import re
import subprocess
from collections.abc import Callable

import pytest

from tests.app.playground.cloud import NAME, Cloud, wait_until
from tests.app.playground.traffic import MAX_CONTENT_ID, Traffic
from tests.client import post
from tests.repository import Clone

FAILED, NOTHING_CHANGED = 1, 2
"""Exit statuses of the release command."""

CRASHES = """

raise RuntimeError("this version cannot start")
"""
HOARDS = """
hoard = bytearray(1024 * 1024 * 1024)
for at in range(0, len(hoard), 4096):
    hoard[at] = 1
"""
"""Runs in the master process, so that the whole container is killed and not only a worker."""
NOT_EXECUTABLE = """FROM scratch
COPY requirements.txt /bin/server
CMD ["/bin/server"]
"""
"""An image with a file that the kernel can't execute, like a program for another CPU architecture."""
STARTS = """

@app.before_request
def starting():
    from flask import request
    if request.path == "/healthz" and not app.extensions["store"].list_comments({}, limit=1).comments:
        return "starting", 503
"""
"""Fails its health checks until a thread has a comment."""
SPOT = "Your Spot Task was interrupted."
"""With this reason of StopTask, the playground reports a Spot interruption."""


def crashes(project: Clone) -> None:
    project.append("app/api.py", CRASHES)
    project.without_circuit_breaker()


def cannot_execute(project: Clone) -> None:
    (project.folder / "Dockerfile").write_text(NOT_EXECUTABLE)
    (project.folder / "requirements.txt").chmod(0o755)
    project.without_circuit_breaker()


def vanishes(project: Clone) -> None:
    """The test deletes the image from the registry before the rollout."""
    project.append("app/api.py", "\n# soon gone\n")
    project.without_circuit_breaker()


def never_listens(project: Clone) -> None:
    """Also shorten the grace period to speed up the test; gunicorn logs its port within seconds, even under load."""
    project.replace("Dockerfile", "0.0.0.0:8000", "0.0.0.0:8001")
    file, grace_period = "infra/constructs/fargate_service.py", "GRACE_PERIOD = cdk.Duration.seconds({})"
    project.replace(file, grace_period.format(30), grace_period.format(8))


def failed_with(failed: subprocess.CompletedProcess[str], *said: str, status: int = FAILED) -> None:
    """Check a failed release: exit status, no stack trace, and a message that matches each pattern in `said`."""
    assert failed.returncode == status, failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert "failed" in failed.stderr.splitlines()[0]
    for words in said:
        assert re.search(words, failed.stderr, re.IGNORECASE), f"{words!r} is not in {failed.stderr}"


def test_a_version_that_fails_to_post_is_rolled_back_by_its_alarm(cloud: Cloud, project: Clone) -> None:
    """Its tasks are healthy, but their role lacks a permission that only POST needs."""
    wait_until(cloud.is_quiet, "no alarm fires: ECS would monitor none")
    before = cloud.service()["taskDefinition"]
    project.append("app/api.py", "\n# another image\n")
    project.replace("infra/workload.py", '"dynamodb:PutItem", ', "")
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        failed = cloud.release(project.folder)
        cloud.settle()
        during = len(traffic.failures)
        traffic.flow_for(1)
    failed_with(failed, "cause: .*alarm", f"{NAME}-5xx", "cause: .*lacks dynamodb:PutItem")
    shown = cloud.make("status", "ENV=playground").stdout
    assert re.search(r"deployments .* UPDATE_ROLLBACK_COMPLETE after \d+ s", shown)
    assert re.search(r"tasks +(\d+) of \1 running, completed", shown)
    assert cloud.service()["taskDefinition"] == before
    assert during
    assert len(traffic.failures) == during


@pytest.mark.parametrize(
    ("spoil", "cause", "evidence"),
    [
        (crashes, "exits", "cancelled the update: .*(.|\n)*this version cannot start"),
        (cannot_execute, "another CPU architecture", "cancelled the update: no task can start: .*exec format error"),
        (
            vanishes,
            "no longer in the registry",
            "cancelled the update: no task can start: CannotPullContainer.*not found",
        ),
        (lambda project: project.append("app/gunicorn.conf.py", HOARDS), "memory", "137"),
        (never_listens, "health check", "8001"),
    ],
    ids=["crash", "exec format error", "image gone", "out of memory", "wrong port"],
)
def test_a_version_that_does_not_come_up_is_rolled_back_and_named(
    cloud: Cloud, project: Clone, spoil: Callable[[Clone], None], cause: str, evidence: str
) -> None:
    before = cloud.service()["taskDefinition"]
    spoil(project)
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        running = cloud.start_release(project.folder)
        digest = running.until("==> service at ").split()[-1]
        if spoil is vanishes:
            image = {"repositoryName": "comments", "imageIds": [{"imageDigest": digest}]}
            assert not cloud.client("ecr").batch_delete_image(**image)["failures"]
        failed = running.finished()
    failed_with(failed, "rolled back", "cause: ", cause, evidence)
    later = cloud.release(project.folder, "explain", "playground")
    assert later.returncode == 0, later.stderr
    assert re.search(f"rolled back(.|\n)*cause: .*{cause}", later.stdout)
    explanation = json.loads((project.folder / "build" / "explanation.json").read_text())
    assert re.search(cause, " ".join(explanation["causes"]))
    assert cloud.service()["taskDefinition"] == before
    assert traffic.failures == []


def test_a_slow_start_and_spot_interruptions_do_not_end_a_release(cloud: Cloud, project: Clone) -> None:
    thread = random.randrange(1, MAX_CONTENT_ID)
    project.append("app/api.py", STARTS.format(thread))
    project.without_circuit_breaker()

    def fail_health_checks() -> bool:
        return len(cloud.targets("unhealthy")) >= 2

    with Traffic(cloud.url, cloud.acknowledged, clients=1) as traffic:
        release = cloud.start_release(project.folder)
        release.until("==> service at ")
        wait_until(fail_health_checks, "both new tasks fail their health checks")
        for task in cloud.new_tasks("RUNNING"):
            cloud.client("ecs").stop_task(cluster=NAME, task=task["taskArn"], reason=SPOT)
        wait_until(lambda: not fail_health_checks(), "they are interrupted")
        wait_until(fail_health_checks, "the tasks that replace them fail their health checks")
        post(cloud.url, "ready", content_id=thread)
        released = release.finished()
    assert released.returncode == 0, released.stdout + released.stderr
    assert "cancel" not in released.stdout + released.stderr
    assert [task["stopCode"] for task in cloud.new_tasks("STOPPED")].count("SpotInterruption") >= 2
    assert traffic.failures == []


def test_credentials_of_another_account_are_refused(cloud: Cloud, project: Clone) -> None:
    project.replace("infra/config.py", 'account="000000000000"', 'account="111122223333"')
    failed_with(cloud.release(project.folder), "111122223333", status=NOTHING_CHANGED)
