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
SMUGGLED = get(b"/mallory")
CHUNKED = b"Transfer-Encoding: chunked"
WHOLE = b"%x\r\n%s\r\n0\r\n\r\n" % (len(comment()), comment())

HOSTILE = {
    # Framing; test_framing.py has more.
    "CL.TE": (400, framed(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED)),
    "TE.CL": (400, framed(CHUNKED, b"Content-Length: 3", body=b"8\r\nSMUGGLED\r\n0\r\n\r\n")),
    "space before the colon": (400, framed(b"Content-Length: 5", b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    "unknown transfer coding": (501, framed(b"Transfer-Encoding: mallory")),
    "negative length": (400, framed(b"Content-Length: -1", body=b"hello")),
    "length with a plus": (400, framed(b"Content-Length: +5", body=b"hello")),
    "length in full-width digits": (400, framed("Content-Length: \uff15".encode(), body=b"hello")),
    "length of letters": (400, framed(b"Content-Length: mallory@example.com")),
    "length of 20 digits": (413, framed(b"Content-Length: 18446744073709551616", b"Connection: close")),
    "length of 5,000 digits": (400, framed(b"Content-Length: " + b"9" * 5000)),
    "negative chunk size": (400, framed(CHUNKED, body=b"-1\r\nmallory")),
    "chunk size with 0x": (400, framed(CHUNKED, body=b"0x" + WHOLE)),
    "chunk size of letters": (400, framed(CHUNKED, body=b"mallory@example.com\r\n")),
    "chunk longer than its size": (400, framed(CHUNKED, body=b"3\r\nmallory\r\n0\r\n\r\n")),
    "chunk size line of 20,000 bytes": (400, framed(CHUNKED, body=b"0" * 20_000)),
    "token as a trailer": (400, framed(CHUNKED, body=WHOLE[:-2] + b"Authorization: Bearer mallory\r\n\r\n")),
    # Request lines and targets
    "words": (400, b"mallory was here\r\n\r\n"),
    "TLS handshake": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /mallory\r\n\r\n"),
    "HTTP/9.9": (400, b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
    "PROXY protocol": (400, b"PROXY TCP4 6.6.6.6 127.0.0.1 1 80\r\n" + HEALTH),
    "version of letters": (400, b"GET / HTTP/mallory@example.com\r\n\r\n"),
    "quote in the method": (400, get(b"/", method=b"'mallory@example.com")),
    "method in lower case": (400, get(b"/healthz", method=b"mallory")),
    "URL of another host": (404, get(b"http://mallory.example" + MISSING)),
    "CONNECT": (404, get(b"mallory.example:443", method=b"CONNECT")),
    "space in the path": (400, get(LIST + b"4 04")),
    "raw UTF-8 in the path": (400, get(LIST + "\uff14".encode())),
    "target of 5,000 bytes": (414, get(LIST + b"9" * 5000)),
    "path traversal": (404, get(b"/static/..%2f..%2fconfig.py")),
    "encoded NUL": (404, get(b"/embed.js%00mallory")),
    "forged log line": (404, get(b"/%22%7d%0a%7b%22level%22:%22error%22,%22message%22:%22mallory%22%7d")),
    "thread in Arabic digits": (400, get(LIST + b"%d9%a1")),
    "thread of SQL": (400, get(LIST + b"1'%20OR%20'mallory'='mallory")),
    "query that is not UTF-8": (400, get(LIST + b"1?limit=%ff")),
    "unknown query parameter": (400, get(LIST + b"1?mallory=1")),
    # Headers
    "header of 9,000 bytes": (431, get(MISSING, b"X-A: " + b"mallory" * 1300)),
    "101 headers": (431, get(MISSING, *[b"X-A: mallory"] * 101)),
    "bare LF": (400, get(MISSING, b"X-A: 1\nX-B: 2")),
    "NUL in a header": (400, get(MISSING, b"X-A: 1\x00mallory")),
    "folded header": (400, get(MISSING, b"X-A: 1\r\n mallory")),
    "header without a colon": (400, get(MISSING, b"mallory")),
    "space in the name of a header": (400, get(MISSING, b"mallory@example.com hunter2: x")),
    "two hosts": (400, get(MISSING, b"Host: mallory")),
    "host with a quote": (404, get(MISSING).replace(b"Host: x", b'Host: "} {"level":"mallory')),
    "unknown expectation": (417, post(comment(), b"Expect: mallory")),
    "request id with a quote": (404, get(MISSING, b'X-Request-Id: "} {"level":"mallory')),
    "forwarded address with a quote": (404, get(MISSING, b'X-Forwarded-For: "} {"level":"mallory')),
    "trace id with control characters": (404, get(MISSING, b"X-Amzn-Trace-Id: \x9b31m\x85mallory")),
    "token that is not UTF-8": (401, get(HELD, b"Authorization: Bearer \xff\xfe\xfd")),
    "two tokens": (401, get(HELD, b"Authorization: Bearer x", b"Authorization: Bearer moderator-of-the-test")),
    "token in a header with an underscore": (401, get(HELD, b"HTTP_AUTHORIZATION: Bearer moderator-of-the-test")),
    "idempotency key of 8,000 characters": (400, post(comment(), b"Idempotency-Key: " + b"k" * 8000)),
    # Bodies; tests/app has more.
    "form": (415, get(b"/api/comment/new", b"Content-Length: 9", method=b"POST") + b"a=mallory"),
    "compressed body": (400, post(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"Content-Encoding: gzip")),
    "UTF-16": (400, post(comment().decode().encode("utf-16"))),
    "60,000 open lists": (400, post(b"[" * 60_000)),
    "number of 60,000 digits": (400, post(comment(content_id=b"9" * 60_000))),
    "lone surrogate": (400, post(comment(b'"\\ud800"'))),
    "prototype": (400, post(comment()[:-1] + b', "__proto__": {"mallory": true}}')),
    "email with a line break": (400, post(comment(email=b'"a@b.example\\r\\nBcc: mallory@c.example"'))),
    "markup": (200, post(comment(b'"<script>alert(\\"mallory\\")</script>"'))),
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


@pytest.mark.parametrize("abort", [False, True], ids=["ends", "resets"])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET /mallory HT",
        get(b"/mallory")[:-2],
        framed(b"Content-Length: 500", body=comment()),
        framed(CHUNKED, body=b"ff\r\n" + comment()),
        framed(CHUNKED, body=WHOLE[:-5]),
        get(LIST + b"1?mallory"),
        post(comment(), b"Idempotency-Key: mallory"),
    ],
    ids=["nothing", "request line", "headers", "body", "chunk", "no last chunk", "whole GET", "whole POST"],
)
def test_a_client_that_disconnects_early_leaves_no_error(server: Server, raw: bytes, abort: bool) -> None:
    logged = server.log.stat().st_size
    with connect(server.port) as connection:
        connection.send(raw)
        if abort:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.socket.shutdown(socket.SHUT_WR)
            response = connection.response()
            assert response is None or response.status < 500
    assert server.healthy()
    check_log(server, logged)


def test_an_incomplete_comment_is_not_stored(server: Server) -> None:
    """Even if what arrived of it is valid JSON."""
    with connect(server.port) as connection:
        connection.send(framed(b"Content-Length: 500", body=comment(content_id=b"77")))
        connection.socket.shutdown(socket.SHUT_WR)
        response = connection.response()
    assert response is not None
    assert response.status == 400
    with connect(server.port) as connection:
        assert connection.ask(get(LIST + b"77")).status == 404


def check_log(server: Server, start: int) -> None:
    """Check that the log since then is JSON without errors and without content of the client."""
    wait_until(lambda: server.log.read_bytes().endswith(b"\n"), server.process)
    added = server.log.read_bytes()[start:].decode()
    assert "mallory" not in added
    assert "Traceback" not in added
    for line in added.splitlines():
        assert json.loads(line)["level"] in {"info", "warning"}, line
        assert line.isprintable()
