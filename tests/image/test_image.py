"""Contents of the image, and behaviour of its containers."""

import subprocess
import time
from collections.abc import Callable

import pytest

from tests.image.conftest import docker, listed, post

pytestmark = pytest.mark.usefixtures("docker")

Run = Callable[..., tuple[str, str]]

DATA = ("--volume=/data", "--env=COMMENTS_STORE=sqlite:////data/comments.db")


def test_the_server_does_not_run_as_root(run: Run) -> None:
    container, _ = run(*DATA)
    processes = docker("top", container, "-eo", "pid,uid").splitlines()[1:]
    assert processes
    assert {line.split()[1] for line in processes} == {"10001"}


def test_the_image_contains_only_what_runs(image: str) -> None:
    listing = docker("run", "--rm", image, "find", "/srv/app", "/venv/bin", "-not", "-name", "*.pyc").splitlines()
    assert "/srv/app/api.py" in listing
    for absent in ("/venv/bin/pip", "/srv/app/data", "/srv/app/tests", "/srv/app/infra", "/srv/app/.git"):
        assert absent not in listing


def test_modules_are_compiled_before_the_first_start(image: str) -> None:
    """Otherwise every start of a read-only container compiles them again, for seconds on a quarter of a core."""
    modules = "json, pydantic, comments.app"
    script = f"import os, {modules}; print([os.path.exists(each.__cached__) for each in ({modules})])"
    assert docker("run", "--rm", image, "python3", "-c", script) == "[True, True, True]"


def test_every_credential_provider_finds_its_description(image: str) -> None:
    """The image contains only part of botocore's data."""
    script = (
        "import boto3; [boto3.client(name, 'eu-west-1') for name in ('dynamodb', 'sts', 'sso', 'sso-oidc', 'signin')]"
    )
    docker("run", "--rm", image, "python3", "-c", script)


def test_a_read_only_container_without_capabilities_keeps_comments_on_its_volume(run: Run) -> None:
    _, url = run(*DATA)
    post(url, "in a container")
    assert listed(url) == ["in a container"]


def test_the_container_becomes_healthy(run: Run) -> None:
    container, _ = run(*DATA)
    end = time.monotonic() + 30
    while (status := docker("inspect", "-f", "{{.State.Health.Status}}", container)) != "healthy":
        assert time.monotonic() < end, status
        time.sleep(0.2)


def test_a_stopped_container_exits_cleanly(run: Run) -> None:
    container, _ = run(*DATA)
    docker("stop", "--time=30", container)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
    assert '"level":"error"' not in docker("logs", container)


def test_without_a_writable_folder_the_container_exits_and_names_the_setting(image: str) -> None:
    command = ["docker", "run", "--rm", "--read-only", "--env=COMMENTS_STORE=sqlite:////none/comments.db", image]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 3
    assert "error: COMMENTS_STORE: " in ended.stderr
    assert "/none" in ended.stderr
