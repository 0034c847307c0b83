"""The status page: what runs, whether the store responds, and the operator's messages, whatever fails."""

from datetime import UTC, datetime, timedelta
from threading import Event
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from comments.comment import NewComment
from comments.errors import StoreError
from comments.http.schemas import Status
from comments.http.status import VERSION
from comments.stores import CommentStore
from tests.app.support import TOKEN, client_of

DIGEST = f"sha256:{'ab' * 32}"


@pytest.fixture(autouse=True)
def check_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comments.http.status.CHECK_SECONDS", 0)


def open_client(store: CommentStore) -> FlaskClient:
    return client_of(store, moderator_token=TOKEN, status_thread=9, commit="0123456789ab")


def announce(store: CommentStore, text: str) -> None:
    store.add(NewComment(content_id=9, email="operator@example.com", comment=text))


def test_it_shows_what_runs_and_how_fast_the_store_responds(
    store: CommentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_DIGEST", DIGEST)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    client = open_client(store)
    response = client.get("/api/status")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    status = Status.model_validate(response.get_json())
    assert status.status == status.store.status == "OK"
    assert status.store.milliseconds >= 0
    assert (status.version, status.commit, status.digest) == (VERSION, "0123456789ab", DIGEST)
    assert status.region == "eu-west-1"
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(status.started_at) < timedelta(minutes=5)
    assert DIGEST in client.get("/status").text


def test_the_newest_messages_are_shown_without_the_email(store: CommentStore) -> None:
    for number in range(25):
        announce(store, f"<b>message {number}</b>")
    client = open_client(store)
    response, page = client.get("/api/status"), client.get("/status").text
    messages = [message["comment"] for message in response.get_json()["messages"]]
    assert messages == [f"<b>message {number}</b>" for number in range(24, 4, -1)]
    assert page.index("&lt;b&gt;message 24&lt;/b&gt;") < page.index("message 23")
    assert "operator@example.com" not in response.text + page


@pytest.mark.parametrize("failure", [StoreError("disk I/O error: /secret", reason="KeyError"), KeyError("secret")])
def test_a_failing_store_is_shown_with_the_last_messages_and_no_internals(
    sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    client = open_client(sqlite)
    announce(sqlite, "We are working on it.")
    before = client.get("/api/status").get_json()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "list_comments", Mock(side_effect=failure))
        response, page = client.get("/api/status"), client.get("/status")
    assert (response.status_code, page.status_code) == (200, 200)
    status = response.get_json()
    store = {"status": "UNAVAILABLE", "reason": "KeyError", "milliseconds": status["store"]["milliseconds"]}
    assert status == before | {"status": "DEGRADED", "store": store}
    assert [message["comment"] for message in status["messages"]] == ["We are working on it."]
    assert "Comments are unavailable" in page.text
    assert "We are working on it." in page.text
    assert "secret" not in response.text + page.text
    assert "Comments are available" in client.get("/status").text


def test_a_store_that_hangs_is_asked_once_however_many_clients_ask(
    sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered = Event()
    ping = Mock(side_effect=lambda: recovered.wait(30))
    monkeypatch.setattr("comments.http.status.STORE_TIMEOUT", 0.05)
    monkeypatch.setattr(sqlite, "ping", ping)
    client = open_client(sqlite)
    for _ in range(16):
        response = client.get("/api/status")
        assert response.status_code == 200
        assert response.get_json()["store"] == {"status": "UNAVAILABLE", "milliseconds": 50, "reason": "Timeout"}
    recovered.set()
    monkeypatch.setattr("comments.http.status.STORE_TIMEOUT", 30)
    assert client.get("/api/status").get_json()["status"] == "OK"
    assert ping.call_count <= 2


@pytest.mark.parametrize("path", ["/api/status", "/status"])
def test_visitors_do_not_cause_calls_of_the_store(
    sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.undo()  # the interval between checks is that of the service
    calls = Mock()
    monkeypatch.setattr(sqlite, "ping", calls)
    monkeypatch.setattr("comments.http.status.time.monotonic", lambda: 1000.0)
    client = open_client(sqlite)
    for _ in range(20):
        assert client.get(path).status_code == 200
    assert calls.call_count == 1
    monkeypatch.setattr("comments.http.status.time.monotonic", lambda: 1006.0)
    client.get(path)
    assert calls.call_count == 2
