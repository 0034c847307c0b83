"""Just enough HTTP for a load generator: a connection that sends prepared bytes and knows when the answer is whole."""

import socket
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from selectors import EVENT_READ, BaseSelector

HERE = "127.0.0.1"
CHUNK = 1 << 18
LENGTH = b"content-length:"
JSON = {"Content-Type": "application/json"}


class Connection:
    """One connection, watched by a selector; where the server closes it, the next request opens another."""

    def __init__(self, port: int, selector: BaseSelector, *, host: str = HERE) -> None:
        self._address = host, port
        self._selector = selector
        self._socket: socket.socket | None = None
        self._received = b""
        self._whole: int | None = None
        self._closes = False
        self.status = 0
        self.due = 0.0

    def send(self, request: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=10)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(self._socket, EVENT_READ, self)
        self._received, self._whole, self.status = b"", None, 0
        with suppress(OSError):  # the server has closed it: receive sees the end, and that nothing came
            self._socket.sendall(request)

    def receive(self) -> bool:
        """Take what has arrived; True when the answer is at its end. One that was cut off has the status 0."""
        if self._socket is None:
            return False
        try:
            chunk = self._socket.recv(CHUNK)
        except OSError:
            chunk = b""
        self._received = self._received + chunk if self._received else chunk
        if self._whole is None and not self._read_head() and chunk:
            return False
        ended = not chunk or (self._whole is not None and len(self._received) >= self._whole)
        if not ended:
            return False
        if self._whole is None or len(self._received) < self._whole:
            self.status = 0
        if self._closes or not chunk:
            self.close()
        return True

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._received[:end].lower()
        at = head.find(LENGTH)
        if at < 0:
            raise ValueError("an answer without Content-Length: this load generator does not read it")
        self._whole = end + 4 + int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0])
        self._closes = head.startswith(b"http/1.0") or b"connection: close" in head
        self.status = int(head[9:12])
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {HERE}\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {HERE}\r\nContent-Type: {JSON['Content-Type']}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send one request and return status and body of the answer, status 0 when none came."""
    with closing(HTTPConnection(HERE, port, timeout=10)) as connection:
        try:
            connection.request(method, path, body, JSON if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException):
            return 0, b""
