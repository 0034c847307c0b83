"""Interleaved rounds: every server has its turn in each, and ratios are taken within a round."""

import math
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.load import offer, percentile, saturate
from bench.machine import CLIENT, on
from bench.server import Server


@dataclass(frozen=True)
class Load:
    """Who is asked for what."""

    name: str
    server: Server
    requests: Sequence[bytes]


@dataclass
class Samples:
    """One value a round. Rates are a second, CPU in microseconds a request, latencies in milliseconds."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    failed: int = 0

    def medians(self) -> dict[str, float]:
        named = {"rate": self.rate, "cpu": self.cpu, "p50": self.p50, "p99": self.p99, "busy": self.busy}
        values = {name: statistics.median(each) for name, each in named.items() if each and not math.isnan(each[0])}
        if self.late:
            values["late"] = max(self.late)
        return values | {"rate_lowest": min(self.rate), "rate_highest": max(self.rate), "failed": float(self.failed)}


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the ratios of each round."""
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


def _turns(loads: Sequence[Load], rounds: int, what: str) -> Iterator[Load]:
    """Every load once a round, in another order each time: none always comes behind the same one."""
    for number in range(1, rounds + 1):
        if sys.stderr.isatty():
            print(f"\r{what}: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
        yield from random.Random(number).sample(loads, len(loads))  # noqa: S311  # an order, no secret
    print(f"\r{what}: {rounds} rounds", file=sys.stderr)


def most(loads: Sequence[Load], *, rounds: int, seconds: float, what: str) -> dict[str, Samples]:
    """Find how much each can answer."""
    found = {load.name: Samples() for load in loads}
    with on(CLIENT):
        for load in loads:
            saturate(load.server.port, load.requests, seconds=seconds)  # caches and connections, uncounted
        for load in _turns(loads, rounds, what):
            before = load.server.cpu()
            outcome = saturate(load.server.port, load.requests, seconds=seconds)
            samples = found[load.name]
            samples.rate.append(outcome.rate)
            samples.cpu.append((load.server.cpu() - before) / max(1, len(outcome.latencies)) * 1e6)
            samples.busy.append(outcome.busy)
            samples.failed += outcome.failed
    return found


def steady(
    loads: Sequence[Load], rates: dict[str, float], *, rounds: int, seconds: float, what: str
) -> dict[str, Samples]:
    """Find how long answers take at a given rate."""
    found = {load.name: Samples() for load in loads}
    with on(CLIENT):
        for load in _turns(loads, rounds, what):
            outcome = offer(load.server.port, load.requests, rate=rates[load.name], seconds=seconds)
            samples = found[load.name]
            samples.rate.append(outcome.rate)
            samples.p50.append(percentile(outcome.latencies, 0.50) * 1000)
            samples.p99.append(percentile(outcome.latencies, 0.99) * 1000)
            samples.late.append(percentile(outcome.late, 0.99) * 1000)
            samples.failed += outcome.failed
    return found
