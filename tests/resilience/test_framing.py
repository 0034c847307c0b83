"""Request framing: no request on a connection gets the response to another one."""

import pytest

from tests.app.conftest import Server
from tests.resilience.conftest import Connection, comment, connect, framed, get, post

BODY = comment()
SIZE = b"%x\r\n" % len(BODY)
WHOLE = SIZE + BODY + b"\r\n0\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
UNREAD = get(b"/nowhere", CHUNKED, method=b"POST")

CLEAR = {
    "a last chunk of nine zeros": (200, framed(CHUNKED, body=SIZE + BODY + b"\r\n000000000\r\n\r\n")),
    "chunks of one byte": (200, framed(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n")),
    "a chunk extension": (200, framed(CHUNKED, body=SIZE[:-2] + b';a="0"\r\n' + BODY + b"\r\n0\r\n\r\n")),
    "trailers": (200, framed(CHUNKED, body=WHOLE[:-2] + b"X-Trailer: 1\r\n\r\n")),
    "Expect: 100-continue": (200, post(BODY, b"Expect: 100-continue")),
    "a request as the body": (400, post(get(b"/smuggled"))),
    "a body that nobody reads": (404, get(b"/nowhere", LENGTH, method=b"POST") + BODY),
    "chunks that nobody reads": (404, UNREAD + WHOLE),
    "chunks of 128 KiB and a byte": (413, framed(CHUNKED, body=b"20001\r\n" + BODY.ljust(131_073) + b"\r\n0\r\n\r\n")),
}
"""Requests whose end is clear, and their status."""

AMBIGUOUS = {
    "conflicting lengths": (400, framed(LENGTH, b"Content-Length: 0", body=BODY)),
    "a length and chunks": (400, framed(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + get(b"/smuggled"))),
    "chunks and a length": (400, framed(CHUNKED, b"Content-Length: 3", body=b"8\r\nSMUGGLED\r\n0\r\n\r\n")),
    "a length that is too short": (400, framed(b"Content-Length: 10", body=BODY)),
    "a length with a plus": (400, framed(b"Content-Length: +5", body=b"hello")),
    "a space before the colon": (400, framed(b"Content-Length: 5", b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    "a body without a length": (400, framed(body=BODY)),
    "chunked, identity": (400, framed(b"Transfer-Encoding: chunked, identity", body=WHOLE)),
    "gzip, chunked": (200, framed(b"Transfer-Encoding: gzip, chunked", body=WHOLE)),
    "chunked in HTTP/1.0": (400, framed(CHUNKED, body=WHOLE).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "a chunk longer than its size": (400, framed(CHUNKED, body=b"3\r\nhello\r\n0\r\n\r\n")),
    "a malformed chunk that nobody reads": (404, UNREAD + b"zz\r\n"),
    "a length as a trailer": (400, framed(CHUNKED, body=WHOLE[:-2] + b"Content-Length: 5\r\n\r\n")),
}
"""Requests after which the server must close the connection."""


def named(request: bytes, name: bytes) -> bytes:
    """Add a request id, which the response repeats."""
    return request.replace(b"Host: x\r\n", b"Host: x\r\nX-Request-Id: " + name + b"\r\n", 1)


def responses(connection: Connection, raw: bytes, pieces: int) -> list[tuple[int, str | None]]:
    """Send the request and GET /healthz at once, or in pieces, then another request; return statuses and ids."""
    both = named(raw, b"first") + named(get(b"/healthz"), b"second")
    step = len(both) // pieces + 1
    for start in range(0, len(both), step):
        connection.send(both[start : start + step])
    seen = []
    while response := connection.response():
        seen.append((response.status, response.headers["X-Request-Id"]))
        if len(seen) == 2:
            connection.send(named(get(b"/nowhere", b"Connection: close"), b"third"))
    return seen


@pytest.mark.parametrize(("status", "raw"), CLEAR.values(), ids=CLEAR)
def test_every_request_on_a_connection_gets_its_own_response(server: Server, status: int, raw: bytes) -> None:
    for pieces in (1, 25):
        with connect(server.port) as connection:
            assert responses(connection, raw, pieces) == [(status, "first"), (200, "second"), (404, "third")]


@pytest.mark.parametrize(("status", "raw"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_after_an_ambiguous_request_the_connection_is_closed(server: Server, status: int, raw: bytes) -> None:
    """Errors of gunicorn itself have no request id."""
    for pieces in (1, 25):
        with connect(server.port) as connection:
            first, *rest = responses(connection, raw, pieces)
        assert first in {(status, "first"), (status, None)}
        assert rest in ([], [(400, None)])
