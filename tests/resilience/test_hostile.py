"""Hostile requests get a sensible response, affect no other client and leave none of their content in the log."""

import json
import socket
import struct

import pytest

from tests.app.conftest import Server, wait_until
from tests.resilience.conftest import HEALTH, comment, connect, framed, get, post

LIST = b"/api/comment/list/"
MISSING = LIST + b"404"
HELD = b"/api/moderation/held"
CHUNKED = b"Transfer-Encoding: chunked"

HOSTILE = {
    # Lengths and chunks; test_framing.py has more.
    "length of letters": (400, framed(b"Content-Length: mallory@example.com")),
    "length of 5,000 digits": (400, framed(b"Content-Length: " + b"9" * 5000)),
    "chunk size of letters": (400, framed(CHUNKED, body=b"mallory@example.com\r\n")),
    "chunk size line of 20,000 bytes": (400, framed(CHUNKED, body=b"0" * 20_000)),
    # Request lines and targets
    "version of letters": (400, b"GET / HTTP/mallory@example.com\r\n\r\n"),
    "quote in the method": (400, get(b"/", method=b"'mallory@example.com")),
    "URL of another host": (404, get(b"http://mallory.example" + MISSING)),
    "target of 5,000 bytes": (414, get(LIST + b"9" * 5000)),
    "encoded NUL": (404, get(b"/embed.js%00mallory")),
    # Headers; tests/app has more.
    "header of 9,000 bytes": (431, get(MISSING, b"X-A: " + b"mallory" * 1300)),
    "bare LF": (400, get(MISSING, b"X-A: 1\nX-B: 2")),
    "space in the name of a header": (400, get(MISSING, b"mallory@example.com hunter2: x")),
    "host with a quote": (404, get(MISSING).replace(b"Host: x", b'Host: "} {"level":"mallory')),
    "forwarded address with a quote": (404, get(MISSING, b'X-Forwarded-For: "} {"level":"mallory')),
    "two tokens": (401, get(HELD, b"Authorization: Bearer x", b"Authorization: Bearer moderator-of-the-test")),
    "token in a header with an underscore": (401, get(HELD, b"HTTP_AUTHORIZATION: Bearer moderator-of-the-test")),
    # A body; tests/app has more.
    "compressed body": (400, post(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"Content-Encoding: gzip")),
}


@pytest.mark.parametrize(("status", "raw"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_gets_a_sensible_response_and_affects_no_other_client(
    server: Server, status: int, raw: bytes
) -> None:
    logged = server.log.stat().st_size
    with connect(server.port) as connection:
        response = connection.ask(raw)
        assert response.status == status
        connection.send(HEALTH)
        following = connection.response()
        # The connection is closed, or continues with the next request; a leftover body is not a valid one.
        assert following is None or following.status == 400 or following.json() == {"status": "OK"}
    assert server.healthy()
    check_log(server, logged)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /mallory HT",
        get(b"/mallory")[:-2],
        framed(b"Content-Length: 500", body=comment(content_id=b"77")),
        framed(CHUNKED, body=b"ff\r\n" + comment(content_id=b"77")),
        post(comment(), b"Idempotency-Key: mallory"),
    ],
    ids=["request line", "headers", "body", "chunk", "whole POST"],
)
def test_a_client_that_disconnects_early_leaves_no_error_and_no_incomplete_comment(server: Server, raw: bytes) -> None:
    """Even if what arrived of a comment is valid JSON."""
    logged = server.log.stat().st_size
    with connect(server.port) as connection:
        connection.send(raw)
        connection.socket.shutdown(socket.SHUT_WR)
        response = connection.response()
        assert response is None or response.status < 500
    with connect(server.port) as connection:
        connection.send(raw)
        reset = struct.pack("ii", 1, 0)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    with connect(server.port) as connection:
        assert connection.ask(get(LIST + b"77")).status == 404
    check_log(server, logged)


def check_log(server: Server, start: int) -> None:
    """Check that the log since then is JSON without errors and without content of the client."""
    wait_until(lambda: server.log.read_bytes().endswith(b"\n"), server.process)
    added = server.log.read_bytes()[start:].decode()
    assert "mallory" not in added
    assert "Traceback" not in added
    for line in added.splitlines():
        assert json.loads(line)["level"] in {"info", "warning"}, line
        assert line.isprintable()
