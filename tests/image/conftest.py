"""The image, and requests to containers. BASE_IMAGE replaces the pinned base image where it can't be pulled."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def wait_for(url: str) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as response:
                assert response.status == 200
                return
        except OSError:
            assert time.monotonic() < end, f"{url} does not respond"
            time.sleep(0.02)


def post(url: str, comment: str) -> None:
    body = json.dumps({"email": "alice@example.com", "comment": comment, "content_id": 1}).encode()
    request = urllib.request.Request(f"{url}/api/comment/new", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200


def listed(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/api/comment/list/1", timeout=10) as response:
        return [comment["comment"] for comment in json.load(response)]


@pytest.fixture(scope="session")
def image() -> str:
    base = ["--build-arg", f"BASE_IMAGE={os.environ['BASE_IMAGE']}"] if "BASE_IMAGE" in os.environ else []
    return docker("build", "-q", *base, ".").splitlines()[-1]


@pytest.fixture
def run(image: str) -> Iterator[Callable[..., tuple[str, str]]]:
    """Start a container as ECS does, read-only and without capabilities; return its id and URL."""
    started: list[str] = []

    def start(*options: str) -> tuple[str, str]:
        port = free_port()
        container = docker(
            "run", "-d", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            f"--publish=127.0.0.1:{port}:8000", *options, image,
        )  # fmt: skip
        started.append(container)
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        return container, url

    yield start
    for container in started:
        docker("rm", "-f", "-v", container)
