"""A server in front of DynamoDB's engine that answers as a script says, request by request, then as the engine does."""

import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

SCOPE = "test/20260101/us-east-1/dynamodb/aws4_request"
SIGNED = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0"
"""The engine reads no signature, but keeps tables by access key."""

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@dataclass
class Request:
    """What arrived, and on which connection."""

    operation: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Faults"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.request_ = Request(headers["x-amz-target"].rpartition(".")[2], headers, body, self.client_address[1])
        self.server.requests.append(self.request_)
        fault = self.server.script.pop(0) if self.server.script else self.server.always
        fault(self)

    def from_engine(self) -> tuple[int, bytes]:
        connection = HTTPConnection(self.server.engine, timeout=10)
        kept = {name: self.request_.headers[name] for name in ("x-amz-target", "content-type")}
        connection.request("POST", "/", self.request_.body, kept | {"authorization": SIGNED})
        answer = connection.getresponse()
        payload = answer.read()
        connection.close()
        return answer.status, payload

    def answer(self, status: int, payload: bytes, *, checksum: int | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("x-amz-crc32", str(zlib.crc32(payload) if checksum is None else checksum))
        self.end_headers()
        self.wfile.write(payload[:cut])

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


Fault = Callable[[Exchange], None]


def well(exchange: Exchange) -> None:
    exchange.answer(*exchange.from_engine())


def refuse(status: int, code: str, **more: Any) -> Fault:
    problem = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more}
    return lambda exchange: exchange.answer(status, json.dumps(problem).encode())


def cancelled(code: str) -> Fault:
    reasons = [{"Code": "None"}, {"Code": code, "Message": "injected"}]
    return refuse(400, "TransactionCanceledException", CancellationReasons=reasons)


def page(exchange: Exchange) -> None:
    """A proxy's words, with a checksum of its own."""
    exchange.answer(503, b"<html>Service Unavailable</html>")


def reset(exchange: Exchange) -> None:
    exchange.reset()


def lose(exchange: Exchange) -> None:
    """Done, but the answer is lost."""
    exchange.from_engine()
    exchange.reset()


def cut(exchange: Exchange) -> None:
    status, payload = exchange.from_engine()
    exchange.answer(status, payload, cut=len(payload) // 2)
    exchange.close_connection = True


def damage(exchange: Exchange) -> None:
    status, payload = exchange.from_engine()
    exchange.answer(status, payload, checksum=zlib.crc32(payload) ^ 1)


def close_idle(exchange: Exchange) -> None:
    """Answer well and close the connection, without a word of it in the answer."""
    well(exchange)
    exchange.close_connection = True


def hang(exchange: Exchange) -> None:
    """Say nothing until the server is told to go on, then answer well."""
    exchange.server.go_on.wait(30)
    well(exchange)


def trickle(exchange: Exchange) -> None:
    """Send the answer byte by byte, without an end."""
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000000")
    exchange.end_headers()
    while not exchange.server.go_on.wait(0.01):
        try:
            exchange.wfile.write(b" ")
        except OSError:
            break
    exchange.close_connection = True


class Faults(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, engine: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.engine = urlsplit(engine).netloc
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[Request] = []
        self.script: list[Fault] = []
        self.always: Fault = well
        self.go_on = Event()

    def handle_error(self, *_: object) -> None:
        """Stay quiet: a client that stopped waiting is what is played here."""

    def operations(self) -> list[str]:
        return [request.operation for request in self.requests]


@contextmanager
def serving(engine: str) -> Iterator[Faults]:
    with Faults(engine) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.go_on.set()
        server.shutdown()
