"""Log lines: JSON, findable by request id, metrics as CloudWatch requires them, and nothing that visitors send."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from comments.app import create_app
from comments.config import Settings
from comments.errors import StoreError
from comments.logs import JsonFormatter, Redact
from comments.stores import CommentStore
from tests.app.conftest import Server

TOKEN = "a-token-that-nobody-guesses"
ALICE = {"email": "alice@example.com", "comment": "secret text", "content_id": 1}
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service writes to standard output."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Redact())
    loggers = [logging.getLogger("comments"), logging.getLogger("gunicorn.error")]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    yield stream
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


@pytest.fixture
def lines(written: io.StringIO) -> Lines:
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.fixture
def request_lines(lines: Lines) -> Lines:
    return lambda: [line for line in lines() if line["message"] == "request"]


@pytest.fixture
def client(sqlite: CommentStore) -> FlaskClient:
    settings = Settings(metrics="comments/test", moderator_token=SecretStr(TOKEN), moderation=True)
    return create_app(settings, sqlite).test_client()


@pytest.fixture
def break_store(monkeypatch: pytest.MonkeyPatch, sqlite: CommentStore) -> Callable[[Exception], None]:
    def break_with(error: Exception) -> None:
        monkeypatch.setattr(sqlite, "add", Mock(side_effect=error))
        monkeypatch.setattr(sqlite, "list_comments", Mock(side_effect=error))

    return break_with


def test_a_request_writes_one_line(client: FlaskClient, request_lines: Lines) -> None:
    response = client.get("/api/comment/list/1?limit=5", headers={"X-Amzn-Trace-Id": "Root=1-67891233-abcdef"})
    (line,) = request_lines()
    assert line.items() >= {
        "level": "info", "logger": "comments.request", "request_id": response.headers["X-Request-Id"],
        "method": "GET", "route": "/api/comment/list/<content_id>", "path": "/api/comment/list/1", "status": 404,
        "client": "127.0.0.1", "bytes": len(response.data), "trace_id": "Root=1-67891233-abcdef",
    }.items()  # fmt: skip
    assert line["time"].endswith("Z")
    assert line["duration_ms"] > 0


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "203.0.113.9"), (2, "6.6.6.6")])
def test_the_client_address_comes_from_trusted_proxies_only(
    sqlite: CommentStore, request_lines: Lines, proxies: int, address: str
) -> None:
    client = create_app(Settings(trusted_proxies=proxies), sqlite).test_client()
    client.get("/api/status", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
    client.get("/api/status")
    assert [line["client"] for line in request_lines()] == [address, "127.0.0.1"]


@pytest.mark.parametrize("given", ["from-the-proxy.1", "a" * 64])
def test_a_plain_request_id_of_the_client_is_kept(client: FlaskClient, request_lines: Lines, given: str) -> None:
    response = client.get("/api/status", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == request_lines()[0]["request_id"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", 'x"} {"y', "alice@example.com"])
def test_any_other_request_id_is_replaced(client: FlaskClient, request_lines: Lines, given: str) -> None:
    response = client.get("/nothing", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == request_lines()[0]["request_id"]
    assert len(response.headers["X-Request-Id"]) == 16


def test_all_lines_of_a_request_have_its_id(
    break_store: Callable[[Exception], None], client: FlaskClient, lines: Lines
) -> None:
    break_store(StoreError("reading /data: disk I/O error"))
    response = client.get("/api/comment/list/1")
    cause, request = lines()[-2:]
    assert cause["message"] == "the store failed: reading /data: disk I/O error"
    assert request["message"] == "request"
    assert cause["request_id"] == request["request_id"] == response.headers["X-Request-Id"]


def test_a_successful_health_check_is_not_logged(client: FlaskClient, request_lines: Lines) -> None:
    client.get("/healthz")
    assert request_lines() == []
    client.post("/healthz")
    assert [line["status"] for line in request_lines()] == [405]


# ---- metrics ----


def metrics_of(line: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """Return the dimension's value and the metrics as CloudWatch reads them: each name must be a field of the line."""
    assert isinstance(line["_aws"]["Timestamp"], int)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "comments/test"
    ((dimension,),) = directive["Dimensions"]
    assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Milliseconds", "Count"}
    return line[dimension], {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def test_a_request_is_a_metric_of_its_route(client: FlaskClient, request_lines: Lines) -> None:
    for path in ("/api/comment/list/1", "/nobody/knows/1", "/nobody/knows/2"):
        client.get(path)
    routes, metrics = zip(*map(metrics_of, request_lines()), strict=True)
    assert routes == ("/api/comment/list/<content_id>", "unknown", "unknown")
    for each in metrics:
        assert each.keys() == {"duration_ms"}
        assert each["duration_ms"] > 0


@pytest.mark.parametrize(("error", "status"), [(StoreError("down"), 503), (RuntimeError("bug"), 500)])
def test_a_failure_is_an_error_and_is_counted(
    break_store: Callable[[Exception], None], client: FlaskClient, request_lines: Lines, error: Exception, status: int
) -> None:
    break_store(error)
    client.get("/api/comment/list/1")
    (line,) = request_lines()
    assert (line["level"], line["status"]) == ("error", status)
    assert metrics_of(line)[1]["failed"] == 1


def test_metrics_are_embedded_only_if_configured(sqlite: CommentStore, request_lines: Lines) -> None:
    create_app(Settings(), sqlite).test_client().get("/api/status")
    assert "_aws" not in request_lines()[0]


# ---- what is never logged ----


def test_nothing_that_visitors_send_is_logged(
    break_store: Callable[[Exception], None], client: FlaskClient, written: io.StringIO
) -> None:
    def send_all() -> None:
        client.post("/api/comment/new", json=ALICE, headers={"Idempotency-Key": "secret-key"})
        client.post("/api/comment/new", json=ALICE | {"email": "alice@example.com@"})
        client.post("/api/comment/new", json=ALICE, headers={"Authorization": f"Bearer {TOKEN}"})
        client.get("/api/moderation/held", headers={"Authorization": "Bearer secret-guess"})
        client.get("/api/comment/list/alice@example.com?token=secret-guess")
        client.get("/%0a%7b%22level%22:%22secret%22%7d", headers={"X-Amzn-Trace-Id": 'secret"'})

    send_all()
    for error in (StoreError("down"), RuntimeError("bug")):
        break_store(error)
        send_all()
    assert '"traceback"' in written.getvalue()
    for secret in ("secret", "alice@example.com", TOKEN):
        assert secret not in written.getvalue()


@pytest.mark.parametrize(
    ("message", "arguments", "logged"),
    [
        ("Error handling request %s", ("/?alice@example.com",), "error while handling a request: ValueError"),
        ("Invalid request from ip=: Invalid HTTP request line: 'GET /?alice@example.com'", (),  # on a Unix socket
         "Invalid request from ip=: Invalid HTTP request line"),
        ("Exception on %s [%s]", ("/alice@example.com", "GET"), "error outside of a view"),
    ],
)  # fmt: skip
def test_messages_of_gunicorn_and_flask_are_redacted(
    written: io.StringIO, lines: Lines, message: str, arguments: tuple[str, ...], logged: str
) -> None:
    error = ValueError("alice@example.com") if message.startswith("Error") else None
    logging.getLogger("gunicorn.error").error(message, *arguments, exc_info=error)
    assert lines()[0]["message"] == logged
    assert "alice@example.com" not in written.getvalue()


# ---- other lines ----


def test_every_act_of_the_moderator_is_logged(client: FlaskClient, lines: Lines) -> None:
    auth = {"Authorization": f"Bearer {TOKEN}"}
    held = client.post("/api/comment/new", json=ALICE).get_json()["id"]
    approved = client.post(f"/api/moderation/1/{held}/approve", headers=auth)
    published = approved.get_json()["id"]
    deleted = client.delete(f"/api/moderation/1/{published}", headers=auth)
    client.delete(f"/api/moderation/1/{published}", headers=auth)  # it is gone
    first, second = [line for line in lines() if line["logger"] == "comments.audit"]
    common = {"message": "moderation", "content_id": 1, "client": "127.0.0.1"}
    assert first.items() >= (common | {"action": "approve", "id": held, "published_id": published}).items()
    assert second.items() >= (common | {"action": "delete", "id": published}).items()
    assert first["request_id"] == approved.headers["X-Request-Id"]
    assert second["request_id"] == deleted.headers["X-Request-Id"]


def test_a_server_writes_only_json_from_start_to_stop(serve: Callable[..., Server]) -> None:
    server = serve(COMMENTS_STROE="x")
    server.process.terminate()
    assert server.process.wait(30) == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (warning,) = [line for line in lines if line["level"] == "warning"]
    assert warning["message"] == "COMMENTS_STROE is not a setting; did you mean COMMENTS_STORE?"
    assert lines[-1]["message"] == "Shutting down: Master"
