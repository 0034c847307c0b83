"""Log lines: JSON, findable by request id, metrics as CloudWatch requires them, and nothing that visitors send."""

import logging
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from comments.errors import StoreError
from comments.stores import CommentStore
from tests.app.support import AUTH, TOKEN, Log, client_of, post


@pytest.fixture
def client(sqlite: CommentStore) -> FlaskClient:
    return client_of(sqlite, metrics="comments/test", moderator_token=TOKEN, hold="all")


def lines_of(log: Log, logger: str) -> list[dict[str, Any]]:
    return [entry for entry in log.entries if entry["logger"] == f"comments.{logger}"]


def check_metrics(line: dict[str, Any], **units: str) -> None:
    """Check the metrics of a route as CloudWatch reads them: each name must be a field of the line."""
    metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    directives: list[Any] = [{"Namespace": "comments/test", "Dimensions": [["route"]], "Metrics": metrics}]
    if "failed" in units:  # also without a dimension, for an alarm on all routes
        total = {"Name": "failed", "Unit": "Count", "StorageResolution": 1}
        directives.append({"Namespace": "comments/test", "Dimensions": [[]], "Metrics": [total]})
    assert line["_aws"] == {"Timestamp": line["_aws"]["Timestamp"], "CloudWatchMetrics": directives}
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert units.keys() <= line.keys()


def test_a_request_writes_one_line_with_metrics_of_its_route(client: FlaskClient, log: Log) -> None:
    client.get("/healthz")  # is not logged
    response = client.get("/api/comment/list/1", headers={"X-Amzn-Trace-Id": "Root=1-67891233-abcdef"})
    (line,) = lines_of(log, "request")
    assert line.items() >= {
        "level": "info", "logger": "comments.request", "message": "request",
        "request_id": response.headers["X-Request-Id"],
        "method": "GET", "route": "/api/comment/list/<content_id>", "path": "/api/comment/list/1", "status": 404,
        "client": "127.0.0.1", "bytes": len(response.data), "trace_id": "Root=1-67891233-abcdef",
    }.items()  # fmt: skip
    assert line["time"].endswith("Z")
    check_metrics(line, duration_ms="Milliseconds")
    assert line["duration_ms"] > 0
    client.get("/nobody/knows/2")
    assert lines_of(log, "request")[1]["route"] == "unknown"


@pytest.mark.parametrize(("error", "status"), [(StoreError, 503), (RuntimeError, 500)])
def test_a_failure_and_its_cause_are_errors_with_one_request_id(log: Log, error: type[Exception], status: int) -> None:
    client = client_of(Mock(list_comments=Mock(side_effect=error("the cause"))), metrics="comments/test")
    response = client.get("/api/comment/list/1")
    cause, request = log.entries[-2:]
    assert "the cause" in str(cause)
    assert cause["level"] == request["level"] == "error"
    assert cause["request_id"] == request["request_id"] == response.headers["X-Request-Id"]
    assert request["status"] == response.status_code == status
    check_metrics(request, duration_ms="Milliseconds", failed="Count")
    assert request["failed"] == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [("from-the-proxy.1", True), ("a" * 64, True)]
    + [(given, False) for given in ("", "a" * 65, 'x"} {"y', "alice@example.com")],
)
def test_a_plain_request_id_of_the_client_is_kept(client: FlaskClient, log: Log, given: str, *, kept: bool) -> None:
    response = client.get("/nothing", headers={"X-Request-Id": given})
    request_id = response.headers["X-Request-Id"]
    assert request_id == lines_of(log, "request")[0]["request_id"]
    assert request_id == given if kept else len(request_id) == 16


def test_nothing_that_visitors_send_is_logged(
    client: FlaskClient, sqlite: CommentStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for add in (sqlite.add, Mock(side_effect=StoreError("down")), Mock(side_effect=RuntimeError("bug"))):
        monkeypatch.setattr(sqlite, "add", add)
        post(client, {"Idempotency-Key": "secret-key"}, comment="secret text")
        post(client, email="alice@example.com@")
        post(client, AUTH, comment="secret text")
        client.get("/api/moderation/held", headers={"Authorization": "Bearer secret-guess"})
        client.get("/api/comment/list/alice@example.com?token=secret-guess")
        client.get("/%0a%7b%22level%22:%22secret%22%7d", headers={"X-Amzn-Trace-Id": 'secret"'})
    assert '"traceback"' in log.getvalue()
    for secret in ("secret", "alice@example.com", TOKEN):
        assert secret not in log.getvalue()


def test_messages_of_gunicorn_and_flask_are_redacted(log: Log) -> None:
    """resilience/test_hostile.py shows the same for malformed requests."""
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.error("Error handling request %s", "/?alice@example.com", exc_info=ValueError("alice@example.com"))
    gunicorn.error("Exception on %s [%s]", "/alice@example.com", "GET")
    messages = ["error while handling a request: ValueError", "error outside of a view"]
    assert [entry["message"] for entry in log.entries] == messages
    assert "alice@example.com" not in log.getvalue()


def test_every_act_of_the_moderator_is_logged(client: FlaskClient, log: Log) -> None:
    held = post(client).get_json()["id"]
    approved = client.post(f"/api/moderation/1/{held}/approve", headers=AUTH)
    published = approved.get_json()["id"]
    deleted = client.delete(f"/api/moderation/1/{published}", headers=AUTH)
    client.delete(f"/api/moderation/1/{published}", headers=AUTH)  # it is gone
    requests = [response.headers["X-Request-Id"] for response in (approved, deleted)]
    acts = [{"action": "approve", "id": held, "published_id": published}, {"action": "delete", "id": published}]
    for line, request_id, act in zip(lines_of(log, "audit"), requests, acts, strict=True):
        expected = {"message": "moderation", "content_id": 1, "client": "127.0.0.1", "request_id": request_id, **act}
        assert line.items() >= expected.items()
