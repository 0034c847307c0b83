"""compose.yaml with both stores: SQLite on a volume, and DynamoDB Local."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.app.conftest import free_port
from tests.image.conftest import BASE_IMAGE, ROOT, wait_for


def compose_command() -> list[str]:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]


Compose = Callable[..., None]


@pytest.fixture
def compose() -> Iterator[tuple[str, Compose]]:
    """The URL of the service, and the compose command in a separate project."""
    port = free_port()
    environ = os.environ | {"PORT": str(port), "BASE_IMAGE": BASE_IMAGE, "COMPOSE_PROJECT_NAME": f"test{port}"}

    def call(*arguments: str) -> None:
        done = subprocess.run(
            [*compose_command(), *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    yield f"http://127.0.0.1:{port}", call
    call("--profile", "dynamodb", "down", "--volumes", "--remove-orphans")


def post(url: str) -> None:
    body = json.dumps({"email": "alice@example.com", "comment": "composed", "content_id": 1}).encode()
    request = urllib.request.Request(f"{url}/api/comment/new", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200


def listed(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/api/comment/list/1", timeout=10) as response:
        return [comment["comment"] for comment in json.load(response)]


def test_comments_on_the_volume_outlive_the_container(compose: tuple[str, Compose]) -> None:
    url, call = compose
    call("up", "-d", "--build", "api")
    wait_for(url)
    post(url)
    call("rm", "--stop", "--force", "api")
    call("up", "-d", "api")
    wait_for(url)
    assert listed(url) == ["composed"]


def test_the_image_runs_on_dynamodb_local(compose: tuple[str, Compose]) -> None:
    url, call = compose
    call("--profile", "dynamodb", "up", "-d", "--build", "api-dynamodb")
    wait_for(url)
    post(url)
    assert listed(url) == ["composed"]
