"""A proxy in front of DynamoDB Local that fails as scripted, request by request, and then forwards."""

import json
import socket
import struct
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any
from urllib.parse import urlsplit


class Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Faults"

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self.server.operations.append(self.operation)
        fault = self.server.script.pop(0) if self.server.script else self.server.always
        fault(self)

    def forward(self) -> tuple[int, bytes]:
        kept = {name: self.headers[name] for name in ("X-Amz-Target", "Content-Type", "Authorization")}
        with closing(HTTPConnection(self.server.engine, timeout=10)) as connection:
            connection.request("POST", "/", self.body, kept)
            response = connection.getresponse()
            return response.status, response.read()

    def respond(self, status: int, payload: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


Fault = Callable[[Exchange], None]


def well(exchange: Exchange) -> None:
    exchange.respond(*exchange.forward())


def refuse(code: str, **more: Any) -> Fault:
    problem = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected"} | more
    return lambda exchange: exchange.respond(400, json.dumps(problem).encode())


def cancelled(code: str) -> Fault:
    """Cancel a transaction because of its second item."""
    reasons = [{"Code": "None"}, {"Code": code, "Message": "injected"}]
    return refuse("TransactionCanceledException", CancellationReasons=reasons)


over_the_ceiling = refuse(
    "ThrottlingException",
    message="Throughput exceeds the maximum OnDemandThroughput configured on table or index",
    throttlingReasons=[{"reason": "TableMaxOnDemandThroughputExceeded"}],
)
"""The error beyond `max_reads` or `max_writes` of a stage."""


def reset(exchange: Exchange) -> None:
    """Close the connection without a response; SO_LINGER makes the kernel send a reset."""
    exchange.close_connection = True
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def lose(exchange: Exchange) -> None:
    """Apply the request, but lose the response."""
    exchange.forward()
    reset(exchange)


def lose_writes(exchange: Exchange) -> None:
    """Lose the responses to writes, which are applied, and forward everything else."""
    (lose if exchange.operation in {"PutItem", "TransactWriteItems"} else well)(exchange)


def hang(exchange: Exchange) -> None:
    """Never respond, and do not forward the request."""
    Event().wait(30)  # not time.sleep, which tests of retries replace
    reset(exchange)


class Faults(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, engine: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.engine = urlsplit(engine).netloc
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.operations: list[str] = []
        self.script: list[Fault] = []
        self.always: Fault = well

    def handle_error(self, *_: object) -> None:
        """Print nothing: clients that give up are part of the tests."""
