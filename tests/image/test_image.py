"""Contents of the image, and behaviour of its containers; test_compose.py sends requests to them."""

import pytest

from tests.app.conftest import free_port, wait_until
from tests.image.conftest import docker, wait_for

pytestmark = pytest.mark.usefixtures("docker")

CONTENTS = """
import json, os
import boto3, pydantic
import comments.app

# On a read-only root file system, every start would compile modules again, for seconds on a quarter of a core.
for module in (json, pydantic, comments.app):
    assert os.path.exists(module.__cached__), module
# The image contains only part of botocore's data.
for service in ("dynamodb", "sts", "sso", "sso-oidc", "signin"):
    boto3.client(service, "eu-west-1")
for absent in ("/venv/bin/pip", "/srv/app/data", "/srv/app/tests", "/srv/app/infra", "/srv/app/.git"):
    assert not os.path.exists(absent), absent
"""


def test_the_image_contains_what_runs_and_nothing_else(image: str) -> None:
    docker("run", "--rm", image, "python3", "-c", CONTENTS)


def test_a_container_runs_unprivileged_becomes_healthy_and_stops_cleanly(image: str) -> None:
    port = free_port()
    container = docker(
        "run", "-d", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--volume=/data",
        "--env=COMMENTS_STORE=sqlite:////data/comments.db", f"--publish=127.0.0.1:{port}:8000", image,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}")
        processes = docker("top", container, "-eo", "pid,uid").splitlines()[1:]
        assert {line.split()[1] for line in processes} == {"10001"}
        wait_until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", container) == "healthy")
        docker("stop", "--time=30", container)
        assert docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
        assert '"level":"error"' not in docker("logs", container)
    finally:
        docker("rm", "-f", "-v", container)
