"""A release that is interrupted, step by step, and two at the same time: what is left is for the next one to finish."""

import re
import signal
from pathlib import Path

import pytest

from tests.playground.cloud import Cloud, changed_project, release, start_release
from tests.playground.traffic import Traffic

STEPS = {
    "preflight": "==> preflight",
    "groundwork": "==> CommentsRegistry",
    "build": "==> image",
    "push": "    pushing ",
    "scan": "==> scan",
    "service": "has started",
    "verify": "==> verify",
}
"""What is read when a step has just begun, and of the service when ECS is in the middle of it. Ctrl-C after the scan's
mark arrives in the next step, since nothing is scanned here; the last step, one call, is in tests/release."""
INTERRUPTED = "release interrupted: AWS completes what it has started; run the same command again to finish\n"
OVERTAKEN = "another release has deployed"
WAITED = ("waiting for it to end", "one waited for the other")

pytestmark = pytest.mark.xdist_group("playground")


def test_a_release_that_is_interrupted_at_any_step_is_finished_by_the_next(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    cloud.settle(2)
    project = changed_project(tmp_path / "project", ending_of_api="\n# interrupted\n")
    with Traffic(cloud.url, acknowledged) as traffic:
        for step, mark in STEPS.items():
            running = start_release(project)
            running.until(mark)
            running.process.send_signal(signal.SIGINT)
            ended = running.finished()
            assert (step, ended.returncode, ended.stderr) == (step, 130, INTERRUPTED), ended.stdout
            assert re.search(r"\n    interrupted in \d+\.\d s\n", ended.stdout)
        finished = release(project)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert traffic.failures == []


def test_of_two_releases_at_a_time_one_waits_and_each_says_how_it_ended(
    cloud: Cloud, tmp_path: Path, acknowledged: dict[int, list[str]]
) -> None:
    projects = [
        changed_project(tmp_path / name, ending_of_api=f"\n# {name} at the same time\n") for name in ("one", "two")
    ]
    with Traffic(cloud.url, acknowledged) as traffic:
        both = [start_release(project) for project in projects]
        ended = [running.finished() for running in both]
        cloud.settle()
    told = "\n".join(one.stdout + one.stderr for one in ended)
    assert any(one.returncode == 0 for one in ended), told
    assert all(one.returncode == 0 or OVERTAKEN in one.stderr for one in ended), told
    assert any(word in told for word in (*WAITED, OVERTAKEN)), told
    assert "Traceback" not in told
    assert traffic.failures == []
