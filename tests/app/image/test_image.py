"""Contents of the image, and behaviour of its containers; test_compose.py sends requests to them."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from comments.comment import NewComment
from comments.stores.sqlite import SQLiteStore
from tests.app.image.containers import docker, wait_for
from tests.app.support import free_port, wait_until
from tests.client import listed, post

pytestmark = pytest.mark.usefixtures("docker")

CONTENTS = """
import json, os
import boto3, pydantic
import comments.app

# On a read-only root file system, every start would compile modules again, for seconds on a quarter of a core.
for module in (json, pydantic, comments.app):
    assert os.path.exists(module.__cached__), module
# The image contains only part of botocore's data.
for service in ("dynamodb", "sesv2", "sts", "sso", "sso-oidc", "signin"):
    boto3.client(service, "eu-west-1")
assert os.listdir("/srv/app/data") == []
for absent in ("/venv/bin/pip", "/srv/app/tests", "/srv/app/infra", "/srv/app/.git"):
    assert not os.path.exists(absent), absent
"""


def test_the_image_contains_what_runs_and_nothing_else(image: str) -> None:
    docker("run", "--rm", image, "python3", "-c", CONTENTS)


def test_a_container_runs_unprivileged_becomes_healthy_and_stops_cleanly(image: str) -> None:
    port = free_port()
    container = docker(
        "run", "-d", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--volume=/data",
        f"--publish=127.0.0.1:{port}:8000", image,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}")
        processes = docker("top", container, "-eo", "pid,uid").splitlines()[1:]
        assert {line.split()[1] for line in processes} == {"10001"}
        wait_until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", container) == "healthy")
        docker("stop", "--time=30", container)
        assert docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
        levels = {json.loads(line)["level"] for line in docker("logs", container).splitlines()}
        assert levels == {"info"}  # the volume is no reason for a warning
    finally:
        docker("rm", "-f", "-v", container)


def test_a_plain_docker_run_stores_comments_and_warns_that_they_are_deleted_with_the_container(image: str) -> None:
    port = free_port()
    container = docker("run", "-d", "--env=COMMENTS_STORE=", f"--publish=127.0.0.1:{port}:8000", image)
    try:
        wait_for(f"http://127.0.0.1:{port}")
        post(f"http://127.0.0.1:{port}", "first post!")
        assert listed(f"http://127.0.0.1:{port}", 1) == ["first post!"]
        lines = [json.loads(line) for line in docker("logs", container).splitlines()]
        (warning,) = [line["message"] for line in lines if line["level"] != "info"]
        assert warning.startswith("comments are stored in this container and deleted with it; mount a volume at /data")
    finally:
        docker("rm", "-f", "-v", container)


def test_commands_change_comments_although_the_root_file_system_is_read_only(image: str, tmp_path: Path) -> None:
    """SQLite needs temporary files to move and to purge comments."""
    with closing(SQLiteStore(tmp_path / "comments.db")) as store:
        for _ in range(20):
            store.add(NewComment(content_id=1, email="alice@example.com", comment="x" * 1000))
    tmp_path.chmod(0o777)
    for file in tmp_path.iterdir():
        file.chmod(0o666)
    command = ["run", "--rm", "--read-only", f"--volume={tmp_path}:/data", image, "python3", "-m", "comments"]
    assert docker(*command, "move", "1", "2") == ""
    docker(*command, "person", "alice@example.com", "--erase")
    assert docker(*command, "export") == ""


@pytest.mark.parametrize("closed", [True, False])
def test_comments_on_a_read_only_file_system_are_exported(image: str, tmp_path: Path, *, closed: bool) -> None:
    """A service that was killed leaves comments in the log of the file."""
    store = SQLiteStore(tmp_path / "source.db")
    store.add(NewComment(content_id=1, email="alice@example.com", comment="first post!"))
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    if closed:
        store.close()
    for file in tmp_path.glob("source.db*"):
        if file.suffix in {".db", ".db-wal"}:
            shutil.copy(file, data / file.name.replace("source", "comments"))
    if not closed:
        store.close()
    for file in data.iterdir():
        file.chmod(0o644)
    # Only a copy of the file needs a temporary directory.
    more = [] if closed else ["--tmpfs=/tmp"]
    exported = docker(
        "run", "--rm", "--read-only", *more, f"--volume={data}:/data:ro", image, "python3", "-m", "comments", "export"
    )
    assert json.loads(exported.splitlines()[0])["comment"] == "first post!"
