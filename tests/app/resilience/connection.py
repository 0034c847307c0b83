"""Requests as raw bytes, and a strict parser of responses."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPMessage, parse_headers
from typing import Any, BinaryIO, NamedTuple

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Response(NamedTuple):
    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    def __init__(self, opened: socket.socket, reader: BinaryIO) -> None:
        self.socket = opened
        self._reader = reader

    def send(self, data: bytes) -> None:
        with suppress(ConnectionError):  # the server may respond and close before it has read everything
            self.socket.sendall(data)

    def response(self) -> Response | None:
        """Return the next response, or None if the server closed the connection instead."""
        line = b""
        with suppress(ConnectionError):
            line = self._reader.readline()
        if not line:
            return None
        status = int(line.removeprefix(b"HTTP/1.1 ")[:3])
        headers = parse_headers(self._reader)
        if status == 100:
            return self.response()
        return Response(status, headers, self._reader.read(int(headers["Content-Length"])))

    def ask(self, request: bytes) -> Response:
        self.send(request)
        response = self.response()
        assert response, "the server closed the connection"
        return response


@contextmanager
def connect(port: int, *, receive_buffer: int = 0) -> Iterator[Connection]:
    with socket.socket() as opened:
        if receive_buffer:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        opened.settimeout(30)
        opened.connect(("127.0.0.1", port))
        with opened.makefile("rb") as reader:
            yield Connection(opened, reader)


def get(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method, path, b"".join(header + b"\r\n" for header in headers))


def framed(*headers: bytes, body: bytes = b"") -> bytes:
    """Return a POST that declares its length only in these headers."""
    return get(b"/api/comment/new", b"Content-Type: application/json", *headers, method=b"POST") + body


def post(body: bytes, *headers: bytes) -> bytes:
    return framed(b"Content-Length: %d" % len(body), *headers, body=body)


def comment(text: bytes = b"hello", *, content_id: bytes = b"1") -> bytes:
    return b'{"content_id": %s, "email": "mallory@example.com", "comment": "%s"}' % (content_id, text)
