"""What a service still does when three times as much is asked of it as it can answer: `python -m bench.overload`.

A server with a core of its own may answer as fast as one core can ask; `--container` gives it a task's share.
"""

import argparse
import itertools
import json
import math
import selectors
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.load import percentile
from bench.machine import CLIENT, on
from bench.programs import CLEAN, service
from bench.server import serving
from bench.soak_load import Load as Visitors
from bench.soak_target import Target, container, probe_of
from bench.wire import HERE, Connection, get, post
from infra.stages import STAGES

SATURATING = 32
"""Connections that find the most a service can answer: twice a worker's threads, so that none is refused."""

CONNECTIONS = 900
"""More than may wait for a thread, so that there is something to refuse."""

STEPS = (0.5, 1, 1.5, 2, 3)
ENOUGH = 0.9
"""Of the most, what has to be answered however much is asked."""

THREADS = 50
READS = 9
"""For each post."""

GOOD = range(200, 300)
UNAVAILABLE = 503
PATIENCE = 10.0


def requests() -> list[bytes]:
    reads = [get(f"/api/comment/list/{1 + each}?limit=20") for each in range(THREADS)]
    mixed = []
    for number in range(THREADS * READS):
        mixed.append(reads[number % THREADS])
        if number % READS == 0:
            comment = {"email": "reader@example.com", "comment": "as long as most are " * 8}
            mixed.append(post("/api/comment/new", json.dumps(comment | {"content_id": 1 + number % THREADS}).encode()))
    return mixed


class Load:
    """Sends at a rate, whatever comes back, as long as it has idle connections."""

    def __init__(self, target: Target, connections: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections = connections
        self._idle = deque(Connection(target.port, self._selector, host=target.host) for _ in range(connections))
        self.good: list[float] = []
        self.refused: list[float] = []
        self.neither = 0

    def offer(self, seconds: float, *, rate: float = math.inf) -> Self:
        """Send for so long, at the rate or as soon as a connection is idle, and wait for the last answers."""
        following = itertools.cycle(requests())
        began = now = time.perf_counter()
        sent = 0
        while now < began + seconds:
            while self._idle and sent < (now - began) * rate:
                self._send(next(following))
                sent += 1
            self._receive(0.001)
            now = time.perf_counter()
        while len(self._idle) < self._connections and time.perf_counter() < now + PATIENCE:
            self._receive(0.1)
        self.seconds = time.perf_counter() - began
        self.neither += self._connections - len(self._idle)
        self.offered = sent / seconds
        for connection in self._idle:
            connection.close()
        return self

    @property
    def goodput(self) -> float:
        return len(self.good) / self.seconds

    def _send(self, request: bytes) -> None:
        connection = self._idle.popleft()
        connection.due = time.perf_counter()
        connection.send(request)

    def _receive(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            connection: Connection = key.data
            if connection.receive():
                seconds = time.perf_counter() - connection.due
                if connection.status in GOOD:
                    self.good.append(seconds)
                elif connection.status == UNAVAILABLE:
                    self.refused.append(seconds)
                else:
                    self.neither += 1
                self._idle.append(connection)


@dataclass
class Step:
    """All rounds of one rate."""

    loads: list[Load] = field(default_factory=list)

    def median(self, what: Callable[[Load], float]) -> float:
        return statistics.median(what(load) for load in self.loads)

    def cells(self, most: float, memory: float) -> tuple[str, ...]:
        goodput = self.median(lambda load: load.goodput)
        good = [each for load in self.loads for each in load.good]
        refused = [each for load in self.loads for each in load.refused]
        return (
            f"{self.median(lambda load: load.offered):,.0f}",
            f"{goodput:,.0f}",
            f"{goodput / most:.2f}",
            milliseconds(good, 0.5),
            milliseconds(good, 0.99),
            f"{self.median(lambda load: len(load.refused) / load.seconds):,.0f}",
            milliseconds(refused, 0.99),
            str(sum(load.neither for load in self.loads)),
            f"{memory:.0f} MB",
        )


@contextmanager
def a_core() -> Iterator[Target]:
    """Run the server from the source on a core of its own."""
    with tempfile.TemporaryDirectory() as folder:
        program = service("overload", f"sqlite:///{Path(folder)}/comments.db", CLEAN)
        with serving(program) as server:
            yield Target("a core of its own", HERE, server.port, probe_of(server.pid))


def milliseconds(values: list[float], part: float) -> str:
    return f"{percentile(values, part) * 1000:.0f} ms" if values else "-"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.overload")
    parser.add_argument("--seconds", type=float, default=2, help="of each step in each round (2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--container", action="store_true", help="a task's share of a CPU and its memory, in the image")
    parser.add_argument("--docker", action="append", default=[], metavar="OPTION", help="such as --cpuset-cpus=0")
    arguments = parser.parse_args()
    steps = {step: Step() for step in STEPS}
    saturated = Step()
    memory: dict[float, float] = {}
    with container(STAGES["dev"], {}, arguments.docker) if arguments.container else a_core() as target, on(CLIENT):
        Visitors(target.host, target.port).wait_until_up()
        most = Load(target, SATURATING).offer(arguments.seconds).goodput
        for _ in range(arguments.rounds):
            saturated.loads.append(Load(target, SATURATING).offer(arguments.seconds))
            most = saturated.median(lambda load: load.goodput)
            for step, seen in steps.items():
                seen.loads.append(Load(target, CONNECTIONS).offer(arguments.seconds, rate=step * most))
                memory[step] = max(memory.get(step, 0), target.held().pss / 1e6)
    print(f"With {target.what}: at the most {most:,.0f} requests a second, nine reads of a page of 20 for each post.\n")
    print("| offered | sent a second | answered | of the most | median | p99 | refused | p99 | neither | memory |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for step, seen in steps.items():
        print(f"| {step} x | {' | '.join(seen.cells(most, memory[step]))} |")
    beyond = [seen.median(lambda load: load.goodput) for step, seen in steps.items() if step >= 1]
    return 0 if min(beyond) >= ENOUGH * most else 1


if __name__ == "__main__":
    sys.exit(main())
