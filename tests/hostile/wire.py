"""A client that sends bytes as they are and reads answers strictly."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass

from tests.hostile.shapes import Hostile, Then

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    """What came back; a status of 0 is no answer at all."""

    status: int = 0
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def field(self, name: str) -> str | None:
        return next((value for each, value in self.fields if each.lower() == name), None)

    def json(self) -> object:
        return json.loads(self.body)


def exchange(port: int, request: Hostile) -> tuple[Answer, Then]:
    """Send the request, then ask for the server's health on the same connection: whose answer comes tells its state."""
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        reader = Reader(connection)
        with suppress(ConnectionError):  # it may be refused while it is still being sent
            connection.sendall(request.raw)
            if request.ends:
                connection.shutdown(socket.SHUT_WR)
        answer = reader.answer(has_body=not request.raw.startswith(b"HEAD "))
        with suppress(OSError):
            connection.sendall(HEALTH)
        behind = reader.answer()
        if not behind.status:
            return answer, Then.CLOSED
        if behind.status == 400:
            assert not reader.answer().status
            return answer, Then.REFUSED
        assert (behind.status, behind.json()) == (200, {"status": "OK"}), f"behind it came {behind}"
        return answer, Then.OPEN


class Reader:
    """Reads answers off a connection, by their Content-Length."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def answer(self, *, has_body: bool = True) -> Answer:
        while b"\r\n\r\n" not in self._received.removeprefix(CONTINUE):
            if not self._more():
                assert not self._received, f"half an answer: {self._received!r}"
                return Answer()
        head, _, self._received = self._received.removeprefix(CONTINUE).partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        protocol, status, _ = line.split(" ", 2)
        assert protocol in {"HTTP/1.1", "HTTP/1.0"}
        pairs = tuple((name, value) for name, _, value in (each.partition(": ") for each in lines))
        found = Answer(int(status), pairs)
        length = int(found.field("content-length") or 0) if has_body else 0
        while len(self._received) < length:
            assert self._more(), f"the answer ends early: {head!r} {self._received!r}"
        body, self._received = self._received[:length], self._received[length:]
        return Answer(found.status, pairs, body)

    def _more(self) -> bool:
        with suppress(ConnectionError):
            received = self._connection.recv(65536)
            self._received += received
            return bool(received)
        return False
