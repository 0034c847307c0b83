"""Shared by tests of the comment service: requests, servers as a user starts them, and their log."""

import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import boto3
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comments.app import create_app
from comments.config import load_settings
from comments.stores import CommentStore
from comments.stores.dynamodb_items import INDEX_SCHEMA, KEY_SCHEMA, RECENT
from tests.client import ask

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "node_modules/amplify-dynamodb-simulator/emulator"
ALICE = {"email": "alice@example.com", "comment": "first post!", "content_id": 1}
TOKEN = "a-token-that-nobody-guesses"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
UNKNOWN = "01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"
"""An id that no comment has."""


def free_port() -> int:
    """Return a port that no client of another test process takes before it is used: below Linux's ephemeral range."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # gunicorn's quick shutdown
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(OSError):
            if condition():
                return
        assert process is None or process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        time.sleep(0.02)
    raise AssertionError("waited in vain for 30 s")


def key_schema(keys: Iterable[tuple[str, Any]]) -> list[Any]:
    return [{"AttributeName": attribute, "KeyType": kind} for attribute, kind in keys]


INDEX: Any = {"IndexName": RECENT, "KeySchema": key_schema(INDEX_SCHEMA), "Projection": {"ProjectionType": "KEYS_ONLY"}}
ATTRIBUTES: Any = [{"AttributeName": name, "AttributeType": "S"} for name in dict(KEY_SCHEMA) | dict(INDEX_SCHEMA)]


def create_table(*, indexed: bool = True) -> str:
    name = f"comments-{uuid.uuid4()}"
    own = [each for each in ATTRIBUTES if indexed or each["AttributeName"] != RECENT]
    index: Any = {"GlobalSecondaryIndexes": [INDEX]} if indexed else {}
    boto3.client("dynamodb").create_table(
        TableName=name,
        KeySchema=key_schema(KEY_SCHEMA),
        AttributeDefinitions=own,
        BillingMode="PAY_PER_REQUEST",
        **index,
    )
    return name


def client_of(store: CommentStore, **settings: object) -> FlaskClient:
    return create_app(load_settings(**settings), store).test_client()


def post(client: FlaskClient, headers: dict[str, str] | None = None, **changes: object) -> TestResponse:
    """Post Alice's comment with changes; a page replaces the content_id."""
    body = {name: value for name, value in (ALICE | changes).items() if name != "content_id" or "page" not in changes}
    return client.post("/api/comment/new", json=body, headers=headers)


LINK = re.compile(r'<([^>]+)>; rel="([a-z]+)"')


def links(response: TestResponse) -> dict[str, str]:
    """Return the URL of each relation in the Link header."""
    header = response.headers.get("Link", "")
    return {relation: urljoin(response.request.url, url) for url, relation in LINK.findall(header)}


def location(response: TestResponse) -> str:
    return urljoin(response.request.url, response.headers["Location"])


@dataclass(frozen=True)
class Server:
    """The service as a user starts it, and what it printed."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]
    prefix: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    @property
    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def healthy(self) -> bool:
        return ask(f"{self.url}/healthz").status == 200


Serve = Callable[..., Server]


@contextmanager
def serving(folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    """Run gunicorn in app/ as the README says, on a free port, with its database and its log in that folder."""
    port = free_port()
    log = folder / f"server-{port}.log"
    environ = os.environ | {"COMMENTS_STORE": f"sqlite:///{folder}/comments.db"} | settings
    command = [str(Path(sys.executable).with_name("gunicorn")), "--bind", f"127.0.0.1:{port}", "api:app"]
    with (
        log.open("wb") as output,
        running(command, cwd=ROOT / "app", env=environ, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        server = Server(port, log, process, settings.get("SCRIPT_NAME", ""))
        wait_until(server.healthy, process)
        yield server


class Log(io.StringIO):
    """What the service in this process writes to stdout."""

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]
