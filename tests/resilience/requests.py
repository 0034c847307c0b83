"""One request and its answer, as every test here needs them."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from tests.app.conftest import Server


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    retry_after: str | None


def ask(server: Server, method: str, path: str, comment: dict[str, Any] | None = None, key: str = "") -> Answer:
    headers = {"Content-Type": "application/json"} if comment else {}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(
            method, path, json.dumps(comment) if comment else None, headers | ({"Idempotency-Key": key} if key else {})
        )
        answer = connection.getresponse()
        return Answer(answer.status, json.load(answer), answer.headers["Retry-After"])
    finally:
        connection.close()


def read(server: Server, thread: int = 1) -> Answer:
    return ask(server, "GET", f"/api/comment/list/{thread}")


def post(server: Server, text: str, *, thread: int = 1, key: str = "") -> Answer:
    comment = {"email": "reader@example.com", "comment": text, "content_id": thread}
    return ask(server, "POST", "/api/comment/new", comment, key)


def unavailable(answer: Answer) -> bool:
    """Tell whether the answer is the contract's 503."""
    return answer.status == 503 and answer.body["status"] == "UNAVAILABLE" and answer.retry_after is not None
