"""The status page says what runs, whether the store answers, and what the operator has to say, whatever fails."""

import json
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from comments import create_app
from comments.errors import StoreError
from comments.models import NewComment
from comments.settings import Settings

DIGEST = f"sha256:{'ab' * 32}"
ON_ECS = {
    "Image": f"registry.example/comments@{DIGEST}",
    "Labels": {"com.amazonaws.ecs.task-arn": "arn:aws:ecs:eu-west-1:000000000000:task/comments-dev/1"},
}


class Failing:
    """A store that can be switched off, as an outage does."""

    def __init__(self, store):
        self._store = store
        self.down = False

    def __getattr__(self, name):
        if self.down:
            error = StoreError("reading /secret/path: disk I/O error")
            error.__cause__ = sqlite3.OperationalError("disk I/O error at /secret/path")
            raise error
        return getattr(self._store, name)


@contextmanager
def agent(body, status=200):
    """Serve the metadata of a task, as the agent on its machine does."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v4/task", asked
        server.shutdown()


@pytest.fixture
def breakable(store):
    return Failing(store)


@pytest.fixture
def board(breakable):
    return create_app(Settings(status_thread=9, commit="0123456789ab"), breakable).test_client()


def say(store, text):
    store.add(NewComment(content_id=9, email="operator@example.com", comment=text))


def test_programs_read_what_runs_and_how_fast_the_store_answers(board):
    answer = board.get("/api/status")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["status"] == answer.json["store"]["status"] == "OK"
    assert answer.json["store"]["milliseconds"] >= 0
    assert answer.json["version"]
    assert answer.json["commit"] == "0123456789ab"
    assert answer.json["digest"] is None
    started = datetime.fromisoformat(answer.json["started_at"])
    assert timedelta() <= datetime.now(UTC) - started < timedelta(minutes=5)


def test_messages_are_the_operators_newest_first_and_without_the_email(board, store):
    for text in ("Tonight at ten: maintenance.", "Done. <b>Thank you</b>"):
        say(store, text)
    answer = board.get("/api/status")
    assert [each["comment"] for each in answer.json["messages"]] == [
        "Done. <b>Thank you</b>",
        "Tonight at ten: maintenance.",
    ]
    page = board.get("/status").text
    assert page.index("Done. &lt;b&gt;Thank you&lt;/b&gt;") < page.index("Tonight at ten: maintenance.")
    assert "operator@example.com" not in answer.text + page


def test_of_many_messages_the_newest_are_shown(board, store):
    for number in range(30):
        say(store, f"message {number}")
    shown = [each["comment"] for each in board.get("/api/status").json["messages"]]
    assert shown == [f"message {number}" for number in range(29, 9, -1)]


def test_a_store_that_is_down_is_told_with_the_last_messages_and_no_internals(board, breakable, store):
    say(store, "We know, and work on it.")
    read_at = board.get("/api/status").json["messages_read_at"]
    breakable.down = True
    answer = board.get("/api/status")
    assert answer.status_code == 200
    assert answer.json["status"] == "DEGRADED"
    assert answer.json["store"].items() >= {"status": "UNAVAILABLE", "reason": "OperationalError"}.items()
    assert [each["comment"] for each in answer.json["messages"]] == ["We know, and work on it."]
    assert answer.json["messages_read_at"] == read_at
    page = board.get("/status")
    assert page.status_code == 200
    assert "Comments cannot be reached" in page.text
    assert "We know, and work on it." in page.text
    assert "secret" not in answer.text + page.text


def test_the_page_recovers_with_the_store(board, breakable):
    breakable.down = True
    assert "Comments cannot be reached" in board.get("/status").text
    breakable.down = False
    assert "Comments work" in board.get("/status").text


def test_a_store_that_hangs_takes_no_thread_of_the_server_with_it(store, monkeypatch):
    """Sixteen readers of the status page would otherwise be all the threads there are, and /healthz would fail."""
    answers, asked = Event(), []
    monkeypatch.setattr("comments.web.status.PATIENCE", 0.05)
    monkeypatch.setattr(store, "ping", lambda: (asked.append(1), answers.wait(30)))
    client = create_app(Settings(), store).test_client()
    for _ in range(16):
        answer = client.get("/api/status")
        assert answer.status_code == 200
        assert answer.json["store"] == {"status": "UNAVAILABLE", "milliseconds": 50, "reason": "Timeout"}
    assert len(asked) == 1
    answers.set()
    monkeypatch.setattr("comments.web.status.PATIENCE", 30)
    assert client.get("/api/status").json["status"] == "OK"


def test_on_ecs_the_task_says_which_image_it_is_and_is_asked_once(board, monkeypatch):
    with agent(json.dumps(ON_ECS).encode()) as (address, asked):
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", address)
        for _ in range(3):
            answer = board.get("/api/status").json
        assert (answer["digest"], answer["region"]) == (DIGEST, "eu-west-1")
        assert asked == ["/v4/task"]
        assert DIGEST in board.get("/status").text


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"{}", b'{"Image": 1, "Labels": []}'])
def test_metadata_that_makes_no_sense_is_left_out(board, monkeypatch, body):
    with agent(body) as (address, _):
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", address)
        answer = board.get("/api/status")
        assert (answer.status_code, answer.json["digest"]) == (200, None)


def test_an_agent_that_does_not_answer_is_asked_again(board, monkeypatch):
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:9/v4/task")
    assert board.get("/api/status").json["digest"] is None
    with agent(json.dumps(ON_ECS).encode()) as (address, _):
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", address)
        assert board.get("/api/status").json["digest"] == DIGEST
