"""What the API answers at its public address, told from what anything else between here and there may say."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 5.0
THREAD = 2**53 - 1  # the last content id that the API takes, so no likely thread; reading it reaches the store


def get(url: str) -> tuple[int, bytes]:
    """Return status and body; raise OSError or HTTPException."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path, headers={"User-Agent": "comments-release"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_healthy(status: int, _body: bytes) -> bool:
    return status == http.client.OK


def is_thread(status: int, body: bytes) -> bool:
    """Comments, or our own word for none; a 404 of anything else does not count."""
    answer = _json(body)
    none = status == http.client.NOT_FOUND and isinstance(answer, dict) and answer.get("status") == "NOT-FOUND"
    return none or (status == http.client.OK and isinstance(answer, list))


def is_good_status(status: int, body: bytes) -> bool:
    """The service's own word for its state, good only if its store answers; an older image may not have it yet."""
    answer = _json(body)
    word = answer.get("status") if isinstance(answer, dict) else None
    return (status, word) in {(http.client.OK, "OK"), (http.client.NOT_FOUND, "NOT-FOUND")}


def blames_the_store(status: int, body: bytes) -> bool:
    """Whether it is the service that answers, and says that its store does not."""
    answer = _json(body)
    word = answer.get("status") if isinstance(answer, dict) else None
    return (status, word) in {(http.client.SERVICE_UNAVAILABLE, "UNAVAILABLE"), (http.client.OK, "DEGRADED")}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
