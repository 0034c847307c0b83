"""How a hostile request is written down: its bytes, the status that it gets, and what becomes of the connection."""

from dataclasses import dataclass
from enum import Enum


class Then(Enum):
    """The connection after the answer."""

    OPEN = "open"
    """It goes on: what is sent next is taken for a request from its first byte."""
    CLOSED = "closed"
    """It ends, since nobody can tell where the next request would begin."""
    REFUSED = "refused"
    """What is left behind the request is refused as another one, and the connection ends."""


OPEN, CLOSED, REFUSED = Then.OPEN, Then.CLOSED, Then.REFUSED


@dataclass(frozen=True)
class Hostile:
    """One request, as raw bytes on a connection of its own."""

    name: str
    status: int
    """0 where the client says that it has ended before its request has, and gets no answer."""
    then: Then
    raw: bytes
    ends: bool = False
    """Whether the client says that nothing more will come."""


def get(target: bytes = b"/api/comment/list/404", *fields: bytes, method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method, target, b"".join(field + b"\r\n" for field in fields))


def post(body: bytes, *fields: bytes, kind: bytes = b"application/json", target: bytes = b"/api/comment/new") -> bytes:
    return get(target, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *fields, method=b"POST") + body


def framed(*fields: bytes, body: bytes = b"") -> bytes:
    """A post whose length is told by the fields given, and by nothing else."""
    return get(b"/api/comment/new", b"Content-Type: application/json", *fields, method=b"POST") + body


def chunked(body: bytes, *fields: bytes) -> bytes:
    return framed(b"Transfer-Encoding: chunked", *fields, body=body)


def comment(text: bytes = b'"hello"', email: bytes = b'"mallory@example.com"', content_id: bytes = b"666") -> bytes:
    """A comment as JSON; each value as it stands in the text."""
    return b'{"content_id": %s, "email": %s, "comment": %s}' % (content_id, email, text)
