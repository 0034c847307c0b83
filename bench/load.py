"""Two load generators: wrk for throughput, and an open-loop client for latency at a given rate."""

import json
import math
import select
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 16
"""Connections of wrk: enough to keep the server busy."""

MAX_CONNECTIONS = 64
"""Connections of the open-loop client. If all are busy, a request waits, and the wait counts as latency."""

RESPONSE_TIMEOUT = 10
"""Seconds to wait for outstanding responses."""


class LoadError(Exception):
    """Requests failed, so the measurement is invalid."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.body}".rstrip()

    def __bytes__(self) -> bytes:
        content = f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n" if self.body else ""
        return f"{self.method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{content}\r\n{self.body}".encode()


@dataclass(frozen=True)
class Latency:
    """Milliseconds from when a request was due until its response was complete; `lag` is the client's own delay."""

    p99: float
    lag: float


def saturate(port: int, requests: Sequence[Request], *, seconds: int, folder: Path) -> tuple[int, float]:
    """Send requests as fast as the server responds; return their number and the duration in seconds."""
    script_input = folder / "requests.txt"
    script_input.write_text("".join(f"{request}\n" for request in requests))
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", f"{RESPONSE_TIMEOUT}s", "-s", str(SCRIPT)]
    output = subprocess.check_output(["wrk", *options, f"http://127.0.0.1:{port}", "--", str(script_input)], text=True)
    totals = json.loads(output.splitlines()[-1])
    if totals["failed"] or not totals["requests"]:
        raise LoadError(f"{totals['requests']} responses and {totals['failed']} failed requests in {seconds} s")
    return totals["requests"], totals["microseconds"] / 1e6


class Connection:
    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._received = b""
        self.due = 0.0

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket else -1

    def send(self, request: bytes, due: float) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=RESPONSE_TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received, self.due = b"", due
        self._socket.sendall(request)

    def receive(self) -> bool:
        """Read what has arrived; return whether the response is complete. It needs a Content-Length."""
        if self._socket is None or not (chunk := self._socket.recv(1 << 18)):
            raise LoadError("the server closed a connection without a response")
        self._received += chunk
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return False
        head = head.lower()
        if head[9:10] != b"2":
            raise LoadError(f"the server responded {head[:12].decode()}")
        if len(body) < int(head.split(b"content-length:")[1].split(b"\r\n")[0]):
            return False
        if b"connection: close" in head or head.startswith(b"http/1.0"):
            self.close()
        return True

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


def send_at_rate(port: int, requests: Sequence[Request], *, rate: float, seconds: float) -> Latency:
    """Send `rate` requests a second, whether or not the server keeps up."""
    following = cycle([bytes(request) for request in requests])
    connections = [Connection(port) for _ in range(MAX_CONNECTIONS)]
    idle, busy = connections.copy(), set[Connection]()
    latencies, lags = list[float](), list[float]()
    total, sent, began, freed = max(1, int(rate * seconds)), 0, time.perf_counter(), 0.0
    while sent < total or busy:
        now, due = time.perf_counter(), began + sent / rate
        if sent < total and idle and due <= now:
            connection = idle.pop()
            connection.send(next(following), due)
            busy.add(connection)
            lags.append(now - max(due, freed))
            sent += 1
            continue
        # select, unlike epoll, takes a timeout in microseconds.
        timeout = due - now if sent < total and idle else RESPONSE_TIMEOUT
        readable: list[Connection] = select.select(busy, [], [], timeout)[0]
        if not readable and timeout == RESPONSE_TIMEOUT:
            raise LoadError(f"no response within {RESPONSE_TIMEOUT} s")
        for connection in readable:
            if connection.receive():
                latencies.append(time.perf_counter() - connection.due)
                freed = freed if idle else time.perf_counter()
                busy.remove(connection)
                idle.append(connection)
    for connection in connections:
        connection.close()
    return Latency(percentile(latencies, 0.99) * 1000, percentile(lags, 0.99) * 1000)


def percentile(values: Sequence[float], fraction: float) -> float:
    return sorted(values)[math.ceil(fraction * len(values)) - 1]
