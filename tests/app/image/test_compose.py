"""compose.yaml with both stores: SQLite on a volume, and DynamoDB Local."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.app.image.containers import docker, wait_for
from tests.app.support import ROOT, free_port
from tests.client import listed, post
from tests.machine import needs

pytestmark = pytest.mark.usefixtures("docker")

Compose = Callable[..., None]


@pytest.fixture
def compose() -> Iterator[tuple[str, Compose]]:
    """The URL of the service, and the compose command in a separate project."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    needs(plugin or shutil.which("docker-compose"), "Docker Compose is not installed")
    command = ["docker", "compose"] if plugin else ["docker-compose"]
    port = free_port()
    environ = os.environ | {"PORT": str(port), "COMPOSE_FILE": "compose.yaml", "COMPOSE_PROJECT_NAME": f"test{port}"}

    def call(*arguments: str) -> None:
        done = subprocess.run(
            [*command, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    was_built = docker("images", "--quiet", "comments")
    yield f"http://127.0.0.1:{port}", call
    call("--profile", "dynamodb", "down", "--volumes", "--remove-orphans")
    if not was_built:
        docker("rmi", "--no-prune", "comments")


def test_comments_on_the_volume_outlive_the_container(compose: tuple[str, Compose]) -> None:
    url, call = compose
    call("up", "-d", "--build", "api")
    wait_for(url)
    post(url, "composed")
    call("rm", "--stop", "--force", "api")
    call("up", "-d", "api")
    wait_for(url)
    assert listed(url, 1) == ["composed"]


def test_the_image_runs_on_dynamodb_local(compose: tuple[str, Compose]) -> None:
    url, call = compose
    call("--profile", "dynamodb", "up", "-d", "--build", "api-dynamodb")
    wait_for(url)
    post(url, "composed")
    assert listed(url, 1) == ["composed"]
    newest = "from comments.stores import open_store; open_store('dynamodb://comments').list_recent(limit=1)"
    call("--profile", "dynamodb", "exec", "-T", "api-dynamodb", "python3", "-c", newest)
