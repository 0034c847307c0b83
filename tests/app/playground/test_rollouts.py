"""Rollbacks, upgrades and scaling cause no failed requests."""

import io
import subprocess
import tarfile

import pytest

from tests.app.playground.cloud import Cloud, wait_until
from tests.app.playground.traffic import Traffic, missing
from tests.client import ask
from tests.repository import ROOT, Clone, git

PREVIOUS = "0b2f2552ffe1558e00d279b940f1a9e82dabdec3"
"""Version 1.0.0."""
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
        # Adopters' repositories have no history.
        pytest.skip(reason=f"this repository was imported without the previous release, {PREVIOUS[:7]}")
    git(project.folder, "rm", "-r", "--quiet", *IMAGE_FILES)
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(project.folder, filter="data")
    project.append("app/api.py", "\n# another image, even if nothing has changed since\n")


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
    with Traffic(cloud.url, cloud.acknowledged, clients=4) as traffic:
        upgraded = cloud.release(project.folder)
        assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
        wait_until(lambda: cloud.service()["desiredCount"] > 2, "requests per target have brought more tasks")
        cloud.settle()
        served = len(cloud.targets("healthy"))
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
