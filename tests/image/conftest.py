"""The image; BASE_IMAGE names another base image where python:3.13-slim cannot be pulled."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
BASE_IMAGE = os.environ.get("BASE_IMAGE", "python:3.13-slim")


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
        except (OSError, urllib.error.URLError):
            assert time.monotonic() < end, f"{url} does not respond"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def image() -> str:
    return docker("build", "-q", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", ".").splitlines()[-1]


@pytest.fixture
def run(image: str) -> Iterator[Callable[..., tuple[str, str]]]:
    """Start a container as ECS does, read-only and without capabilities; return its id and URL."""
    started = []

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
