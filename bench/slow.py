"""What others notice of 500 slow clients: `python -m bench.slow`, or `--playground` for those of its balancer."""

import argparse
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bench.machine import pss_megabytes
from bench.programs import CLEAN, service
from bench.server import serving
from infra.playground.client import load_environment

THREAD = 7
LARGE = 8
"""A thread whose page is larger than what the kernel takes over from the server."""

COMMENT = {"email": "reader@example.com", "comment": "x" * 9_000, "content_id": LARGE}
PAGE = 120
SECONDS = 6.0
SETTLE = 1.0
SETTLE_PLAYGROUND = 20.0
"""Seconds until what all slow clients ask for at once is worked off: a task there has a quarter of a core."""

OK = range(200, 300)
HEAD = b"POST /api/comment/new HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"

KINDS: dict[str, tuple[bytes, bytes]] = {
    "nothing but a connection": (b"", b""),
    "headers, a byte a second": (b"GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ", b"a"),
    "a body, a byte a second": (HEAD + b"\r\n{", b" "),
    "never reads its answer": (b"GET /api/comment/list/%d HTTP/1.1\r\nHost: slow\r\n\r\n" % LARGE, b""),
    "never closes after its answer": (b"GET /healthz HTTP/1.1\r\nHost: slow\r\nConnection: close\r\n\r\n", b""),
}
"""What each sends at once, and then every second."""


class SlowClients:
    """A context manager: as many connections, all of one kind; one that is closed is opened again."""

    def __init__(self, address: tuple[str, int], kind: str, count: int) -> None:
        self._address = address
        self._first, self._then = KINDS[kind]
        self._count = count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._open = [self._connect() for _ in range(self._count)]
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for each in self._open:
            each.close()

    def _connect(self) -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        with suppress(OSError):
            connection.connect(self._address)
            connection.sendall(self._first)
        return connection

    def _run(self) -> None:
        while self._then and not self._stop.wait(1):
            for position, each in enumerate(self._open):
                try:
                    each.sendall(self._then)
                except OSError:
                    each.close()
                    self._open[position] = self._connect()


@dataclass(frozen=True)
class Seen:
    """What another client saw: seconds of each good answer, and how many were none."""

    latencies: Sequence[float]
    failed: int

    def cells(self) -> str:
        if not self.latencies:
            return f"0 | {self.failed} | - | -"
        middle, longest = statistics.median(self.latencies), max(self.latencies)
        return f"{len(self.latencies)} | {self.failed} | {middle * 1000:.0f} ms | {longest * 1000:.0f} ms"


def look(address: tuple[str, int], *, seconds: float = SECONDS) -> Seen:
    """Post and read by turns, each time on a new connection."""
    latencies: list[float] = []
    failed = 0
    end = time.monotonic() + seconds
    body = json.dumps(COMMENT | {"comment": "from somebody else", "content_id": THREAD})
    while time.monotonic() < end:
        for method, path in (("POST", "/api/comment/new"), ("GET", f"/api/comment/list/{THREAD}?limit=20")):
            before = time.monotonic()
            connection = HTTPConnection(*address, timeout=10)
            try:
                connection.request(
                    method, path, body if method == "POST" else None, {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                answer.read()
                good = answer.status in OK
            except (OSError, HTTPException):
                good = False
            finally:
                connection.close()
            latencies += [time.monotonic() - before] if good else []
            failed += not good
    return Seen(latencies, failed)


@contextmanager
def target(*, playground: bool) -> Iterator[tuple[tuple[str, int], int | None]]:
    """Give the address, and the master's process where it is ours."""
    if playground:
        url = urlsplit(load_environment()["PLAYGROUND_URL"])
        yield (url.hostname or "", url.port or 80), None
        return
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder)}/comments.db"
        with serving(service("slow", store, CLEAN)) as server:
            yield ("127.0.0.1", server.port), server.pid


def fill(address: tuple[str, int]) -> None:
    connection = HTTPConnection(*address, timeout=30)
    for _ in range(PAGE):
        connection.request("POST", "/api/comment/new", json.dumps(COMMENT), {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.slow")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--playground", action="store_true", help="through the balancer of the playground that is up")
    arguments = parser.parse_args()
    failed = 0
    with target(playground=arguments.playground) as (address, pid):
        fill(address)
        print("| beside | answered | failed | median | slowest | memory |\n|---|---|---|---|---|---|")
        for kind in ("no slow clients", *KINDS):
            with SlowClients(address, kind, arguments.connections) if kind in KINDS else nullcontext():
                time.sleep(SETTLE_PLAYGROUND if arguments.playground else SETTLE)
                seen = look(address)
                memory = pss_megabytes(pid) if pid else None
            name = f"{arguments.connections} with {kind}" if kind in KINDS else kind
            held = f"{memory:.0f} MB" if memory else "-"
            print(f"| {name} | {seen.cells()} | {held} |", flush=True)
            failed += seen.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
