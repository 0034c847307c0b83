"""A proxy before DynamoDB's engine that answers as a failing store does, or not at all."""

import http.client
import json
import os
import socket
import socketserver
import struct
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler

THROTTLED = "ProvisionedThroughputExceededException"
NAMESPACE = "com.amazonaws.dynamodb.v20120810"
SLOW = 0.3
"""Seconds that a delayed answer takes; the service waits longer than that."""

FAULTS = {
    "delays each answer by 0.3 s": "delay",
    "takes requests and never answers": "hang",
    "answers a byte a second": "trickle",
    "refuses connections": "refuse",
    "resets each connection": "reset",
    "loses each answer": "lose",
    "throttles every request": "throttle",
    "throttles two of three requests": "throttle-some",
    "answers 500": "500",
    "answers garbage": "garbage",
    "cuts each answer short": "cut",
    "changes a byte of each answer": "flip",
}
"""What a user of the store would call it, and its name here."""


class Proxy(socketserver.ThreadingTCPServer):
    """Passes everything on until it is given another fault."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, engine_port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine_port = engine_port
        self.fault = ""
        self.count = 0
        self._open: set[socket.socket] = set()
        self._changing = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def change(self, fault: str) -> None:
        """Misbehave from now on, for connections that are open already too; nothing given, behave."""
        self.fault = fault

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002  # socketserver's
        if self.fault == "refuse":
            reset(request)  # type: ignore[arg-type]  # of a TCP server, it is a socket
            return False
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the service closes connections as it likes."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.count += 1
        fault = self.server.fault
        if fault == "throttle-some":
            fault = "throttle" if self.server.count % 3 else ""
        if fault == "hang":
            while self.server.fault == "hang":
                time.sleep(0.05)
            self._break()
        elif fault in {"reset", "refuse"}:
            self._break()
        elif fault == "throttle":
            self._answer(400, {"__type": f"{NAMESPACE}#{THROTTLED}", "message": "The level of throughput is exceeded"})
        elif fault == "500":
            self._answer(500, {"__type": f"{NAMESPACE}#InternalServerError", "message": "internal error"})
        elif fault == "garbage":
            self._send(200, os.urandom(300), None)
        else:
            self._pass_on(body, fault)

    def _pass_on(self, body: bytes, fault: str) -> None:
        if fault == "delay":
            time.sleep(SLOW)
        engine = http.client.HTTPConnection("127.0.0.1", self.server.engine_port, timeout=10)
        try:
            engine.request("POST", self.path, body, dict(self.headers.items()))
            answer = engine.getresponse()
            payload = answer.read()
            checksum = str(zlib.crc32(payload))  # DynamoDB sends it always, its local engine not with every refusal
        finally:
            engine.close()
        if fault == "lose":
            self._break()
        elif fault == "cut":
            self._send(answer.status, payload, checksum, end=len(payload) // 2)
        elif fault == "flip":
            middle = len(payload) // 2
            self._send(answer.status, payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :], checksum)
        elif fault == "trickle":
            self._send(answer.status, payload, checksum, end=0)
            for byte in payload:
                if self.server.fault != "trickle":
                    break
                self.wfile.write(bytes([byte]))
                time.sleep(1)
        else:
            self._send(answer.status, payload, checksum)

    def _answer(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self._send(status, payload, str(zlib.crc32(payload)))

    def _send(self, status: int, payload: bytes, checksum: str | None, *, end: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(payload)))
        if checksum:
            self.send_header("x-amz-crc32", checksum)
        self.end_headers()
        self.wfile.write(payload[:end])
        self.close_connection = end is not None

    def _break(self) -> None:
        self.close_connection = True
        reset(self.connection)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
