"""Hostile requests: no request gets the response to another one, and nothing that a client sends is in the log."""

import json
import socket
import struct

import pytest

from tests.app.resilience.connection import comment, connect, framed, get, post
from tests.app.support import Server, wait_until

MISSING = b"/api/comment/list/404"
HELD = b"/api/moderation/held"
TOKEN = b": Bearer moderator-of-the-test"
CHUNKED = b"Transfer-Encoding: chunked"
BODY = comment()
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
UNREAD = get(b"/nowhere", CHUNKED, method=b"POST")

HOSTILE = {
    # Where does the request end?
    "last chunk of nine zeros": (200, framed(CHUNKED, body=CHUNK + b"000000000\r\n\r\n")),
    "trailers": (200, framed(CHUNKED, body=CHUNK + b"0\r\nX-Trailer: mallory\r\n\r\n")),
    "Expect: 100-continue": (200, post(BODY, b"Expect: 100-continue")),
    "body that nobody reads": (404, get(b"/nowhere", LENGTH, method=b"POST") + BODY),
    "chunks that nobody reads": (404, UNREAD + CHUNK + b"0\r\n\r\n"),
    "malformed chunk that nobody reads": (404, UNREAD + b"zz\r\n"),
    "chunks of 128 KiB and a byte": (413, framed(CHUNKED, body=b"20001\r\n" + BODY.ljust(131_073) + b"\r\n0\r\n\r\n")),
    "request as the body": (400, post(get(b"/mallory"))),
    "length and chunks": (400, framed(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + get(b"/mallory"))),
    "conflicting lengths": (400, framed(LENGTH, b"Content-Length: 0", body=BODY)),
    "length that is too short": (400, framed(b"Content-Length: 10", body=BODY)),
    "chunk longer than its size": (400, framed(CHUNKED, body=b"3\r\nhello\r\n0\r\n\r\n")),
    "body without a length": (400, framed(body=BODY)),
    "length of letters": (400, framed(b"Content-Length: mallory@example.com")),
    "chunk size of letters": (400, framed(CHUNKED, body=b"mallory@example.com\r\n")),
    # Request lines and targets
    "version of letters": (400, b"GET / HTTP/mallory@example.com\r\n\r\n"),
    "quote in the method": (400, get(b"/", method=b"'mallory@example.com")),
    "URL of another host": (404, get(b"http://mallory.example" + MISSING)),
    "target of 9,000 bytes": (414, get(b"/mallory" * 1125)),
    "encoded NUL": (404, get(b"/embed.js%00mallory")),
    # Headers and bodies; tests/app has more.
    "header of 9,000 bytes": (431, get(MISSING, b"X-A: " + b"mallory" * 1300)),
    "space in the name of a header": (400, get(MISSING, b"mallory@example.com hunter2: x")),
    "host with a quote": (404, get(MISSING).replace(b"Host: x", b'Host: "} {"level":"mallory')),
    "forwarded address with a quote": (404, get(MISSING, b'X-Forwarded-For: "} {"level":"mallory')),
    "two tokens": (401, get(HELD, b"Authorization: Bearer x", b"Authorization" + TOKEN)),
    "token in a header with an underscore": (401, get(HELD, b"HTTP_AUTHORIZATION" + TOKEN)),
    "compressed body": (415, post(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"Content-Encoding: gzip")),
}
"""Requests and their status."""


@pytest.mark.parametrize(("status", "raw"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_gets_a_sensible_response_and_affects_no_other(
    server: Server, status: int, raw: bytes
) -> None:
    logged = server.log.stat().st_size
    following = []
    with connect(server.port) as connection:
        first = connection.ask(raw + get(b"/healthz", b"X-Request-Id: second"))
        while response := connection.response():
            following.append((response.status, response.headers["X-Request-Id"]))
            connection.send(get(b"/nowhere", b"X-Request-Id: third", b"Connection: close"))
    assert (first.status, first.headers["X-Request-Id"] == "second") == (status, False)
    # The connection continues with the next request, or is closed; a leftover body is not a valid request.
    continued = [(200, "second"), (404, "third")]
    assert following in ([continued] if status == 200 else [continued, [], [(400, None)]])
    assert server.healthy()
    check_log(server, logged)


@pytest.mark.parametrize(
    "raw",
    [
        get(b"/mallory")[:-2],
        framed(b"Content-Length: 500", body=comment(content_id=b"77")),
        framed(CHUNKED, body=b"ff\r\n" + comment(content_id=b"77")),
        post(comment(), b"Idempotency-Key: mallory"),
    ],
    ids=["headers", "body", "chunk", "whole POST"],
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
        assert connection.ask(get(b"/api/comment/list/77")).status == 404
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
