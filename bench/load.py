"""The load: as many requests as a server can answer, or so many a second whether it keeps up or not."""

import itertools
import math
import selectors
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.wire import Connection

CONNECTIONS = 16
"""Open at once to find a server's most: as many as the service has threads, twice as many as the yardstick."""

SPARE = 64
"""Connections for a given rate: a request that finds none idle waits, and the wait counts."""

GOOD = range(200, 300)
PATIENCE = 10.0
"""Seconds for what is still under way at the end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load met; latencies of good answers and lateness of the generator's own sending are in seconds."""

    seconds: float
    latencies: list[float]
    failed: int
    busy: float
    """The generator's share of its core: near 1, it measured itself. At a given rate it never sleeps."""
    late: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


def percentile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else math.nan


class _Clients:
    """Connections, and the one loop that waits for all of them."""

    def __init__(self, port: int, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.idle = deque(Connection(port, self._selector) for _ in range(count))
        self.waiting = 0
        self.latencies: list[float] = []
        self.failed = 0
        self._cpu = time.process_time()
        self.began = time.perf_counter()

    def send(self, request: bytes, due: float) -> None:
        connection = self.idle.popleft()
        connection.due = due
        connection.send(request)
        self.waiting += 1

    def receive(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            connection: Connection = key.data
            if connection.receive():
                if connection.status in GOOD:
                    self.latencies.append(time.perf_counter() - connection.due)
                else:
                    self.failed += 1
                self.waiting -= 1
                self.idle.append(connection)

    def finish(self, late: list[float] | None = None) -> Outcome:
        """Wait for what is under way, and count it; what does not come is a failure."""
        end = time.perf_counter() + PATIENCE
        while self.waiting and time.perf_counter() < end:
            self.receive(0.1)
        seconds = time.perf_counter() - self.began
        busy = (time.process_time() - self._cpu) / seconds
        for connection in self.idle:
            connection.close()
        return Outcome(seconds, self.latencies, self.failed + self.waiting, busy, late or [])


def saturate(port: int, requests: Sequence[bytes], *, seconds: float) -> Outcome:
    """Keep every connection busy: as soon as one has its answer, it asks again."""
    clients = _Clients(port, CONNECTIONS)
    following = itertools.cycle(requests)
    end = clients.began + seconds
    while (now := time.perf_counter()) < end:
        while clients.idle:
            clients.send(next(following), now)
        clients.receive(0.1)
    return clients.finish()


def offer(port: int, requests: Sequence[bytes], *, rate: float, seconds: float) -> Outcome:
    """Send at a fixed rate; the latency of each counts from when it was due, so that a stall is not left out."""
    clients = _Clients(port, SPARE)
    following = itertools.cycle(requests)
    late: list[float] = []
    for number in range(max(1, int(rate * seconds))):
        due = clients.began + number / rate
        while (now := time.perf_counter()) < due or not clients.idle:
            clients.receive(0)  # never asleep: the system's timer is coarser than the time between two requests
        clients.send(next(following), due)
        late.append(now - due)
    return clients.finish(late)
