"""The status page: what runs, whether the store responds, and the operator's messages, whatever fails."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from comments.app import create_app
from comments.config import Settings
from comments.errors import StoreError
from comments.schemas import NewComment, Status
from comments.stores import CommentStore

DIGEST = f"sha256:{'ab' * 32}"
ON_ECS = {
    "Image": f"registry.example/comments@{DIGEST}",
    "Labels": {"com.amazonaws.ecs.task-arn": "arn:aws:ecs:eu-west-1:000000000000:task/comments-dev/1"},
}


FAILURE = StoreError("reading /secret/path: disk I/O error", reason="OperationalError")


@contextmanager
def metadata_endpoint(body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve task metadata as ECS does; yield its URL and the paths that were requested."""
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v4/task", requested
        server.shutdown()


def client_of(store: CommentStore) -> FlaskClient:
    token = SecretStr("a-token-that-nobody-guesses")
    return create_app(Settings(moderator_token=token, status_thread=9, commit="0123456789ab"), store).test_client()


@pytest.fixture
def client(sqlite: CommentStore) -> FlaskClient:
    return client_of(sqlite)


def announce(store: CommentStore, text: str) -> None:
    store.add(NewComment(content_id=9, email="operator@example.com", comment=text))


def test_it_shows_what_runs_and_how_fast_the_store_responds(store: CommentStore) -> None:
    response = client_of(store).get("/api/status")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    status = Status.model_validate(response.get_json())
    assert status.status == status.store.status == "OK"
    assert status.store.milliseconds >= 0
    assert (status.commit, status.digest) == ("0123456789ab", None)
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(status.started_at) < timedelta(minutes=5)


def test_messages_are_shown_newest_first_without_the_email(store: CommentStore) -> None:
    client = client_of(store)
    for text in ("Tonight at ten: maintenance.", "Done. <b>Thank you</b>"):
        announce(store, text)
    response = client.get("/api/status")
    texts = [message["comment"] for message in response.get_json()["messages"]]
    assert texts == ["Done. <b>Thank you</b>", "Tonight at ten: maintenance."]
    page = client.get("/status").text
    assert page.index("Done. &lt;b&gt;Thank you&lt;/b&gt;") < page.index("Tonight at ten: maintenance.")
    assert "operator@example.com" not in response.text + page


def test_only_the_newest_messages_are_shown(store: CommentStore) -> None:
    for number in range(30):
        announce(store, f"message {number}")
    messages = client_of(store).get("/api/status").get_json()["messages"]
    assert [message["comment"] for message in messages] == [f"message {number}" for number in range(29, 9, -1)]


def test_a_failing_store_is_shown_with_the_last_messages_and_no_internals(
    client: FlaskClient, sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(sqlite, "We are working on it.")
    read_at = client.get("/api/status").get_json()["messages_read_at"]
    monkeypatch.setattr(sqlite, "ping", Mock(side_effect=FAILURE))
    response = client.get("/api/status")
    assert response.status_code == 200
    status = Status.model_validate(response.get_json())
    assert (status.status, status.store.status, status.store.reason) == ("DEGRADED", "UNAVAILABLE", "OperationalError")
    assert [message.comment for message in status.messages] == ["We are working on it."]
    assert status.messages_read_at == read_at
    page = client.get("/status")
    assert page.status_code == 200
    assert "Comments are unavailable" in page.text
    assert "We are working on it." in page.text
    assert "secret" not in response.text + page.text


def test_a_bug_in_the_store_is_shown_too(
    client: FlaskClient, sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "ping", Mock(side_effect=KeyError("email")))
    response = client.get("/api/status")
    assert (response.status_code, response.get_json()["store"]["reason"]) == (200, "KeyError")


def test_the_page_recovers_with_the_store(
    client: FlaskClient, sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "ping", Mock(side_effect=[FAILURE, None]))
    assert "Comments are unavailable" in client.get("/status").text
    assert "Comments are available" in client.get("/status").text


def test_a_store_that_hangs_is_asked_once_however_many_clients_ask(
    sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered = Event()
    ping = Mock(side_effect=lambda: recovered.wait(30))
    monkeypatch.setattr("comments.status.STORE_TIMEOUT", 0.05)
    monkeypatch.setattr(sqlite, "ping", ping)
    client = create_app(Settings(), sqlite).test_client()
    for _ in range(16):
        response = client.get("/api/status")
        assert response.status_code == 200
        assert response.get_json()["store"] == {"status": "UNAVAILABLE", "milliseconds": 50, "reason": "Timeout"}
    ping.assert_called_once()
    recovered.set()
    monkeypatch.setattr("comments.status.STORE_TIMEOUT", 30)
    assert client.get("/api/status").get_json()["status"] == "OK"


def test_on_ecs_the_digest_of_the_image_is_read_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_endpoint(json.dumps(ON_ECS).encode()) as (url, requested):
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", url)
        for _ in range(3):
            status = client.get("/api/status").get_json()
        assert (status["digest"], status["region"]) == (DIGEST, "eu-west-1")
        assert requested == ["/v4/task"]
        assert DIGEST in client.get("/status").text


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"{}", b'{"Image": 1, "Labels": []}'])
def test_invalid_metadata_is_left_out(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with metadata_endpoint(body) as (url, _):
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", url)
        response = client.get("/api/status")
        assert (response.status_code, response.get_json()["digest"]) == (200, None)


def test_a_metadata_endpoint_that_does_not_respond_is_asked_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:9/v4/task")
    assert client.get("/api/status").get_json()["digest"] is None
    with metadata_endpoint(json.dumps(ON_ECS).encode()) as (url, _):
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", url)
        assert client.get("/api/status").get_json()["digest"] == DIGEST
