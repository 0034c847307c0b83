"""Compare the service with a bare Flask view and with Isso.

Prints a table; writes it to build/bench.md, a plot to build/bench.svg and all samples to build/bench.json.
Needs Linux, two cores and wrk. Exits 0 if all measurements succeed, even if targets are not reached.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.load import LoadError, Request, saturate, send_at_rate
from bench.report import Results, Samples, markdown, write
from bench.servers import (
    CLIENT_CORE,
    ROOT,
    SERVER_CORE,
    WORK,
    Server,
    dynamodb_local,
    fill_isso,
    flask_programs,
    install_isso,
    isso_program,
    serving,
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    rounds: int
    seconds: int
    latency_rounds: int
    latency_seconds: float
    starts: int
    isso: bool


FULL = Scale(rounds=5, seconds=2, latency_rounds=3, latency_seconds=2, starts=3, isso=True)
QUICK = Scale(rounds=1, seconds=1, latency_rounds=1, latency_seconds=0.2, starts=1, isso=False)


@dataclass(frozen=True)
class Case:
    method: str
    server: Server
    requests: Sequence[Request]

    @property
    def key(self) -> tuple[str, str]:
        return f"{self.method}, {self.server.program.store}", self.server.program.name


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short run without Isso to check the benchmark")
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=ROOT / "build", help="default: build")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("error: wrk is not installed; on Debian and Ubuntu: apt-get install wrk")
    if CLIENT_CORE == SERVER_CORE:
        sys.exit("error: the benchmark needs two cores")
    WORK.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    results = measure(QUICK if options.quick else FULL)
    write(results, options.output)
    print(markdown(results))


def measure(scale: Scale) -> Results:
    results: Results = defaultdict(Samples)
    has_isso = scale.isso and install_isso()
    os.sched_setaffinity(0, {CLIENT_CORE})
    with dynamodb_local():
        programs = flask_programs() + ([isso_program()] if has_isso else [])
        for program in _rounds(programs, scale.starts, "start-up"):
            with serving(program) as server:
                results[f"start-up, {program.store}", program.name].startup_s.append(server.startup)
        with ExitStack() as stack:
            servers = [stack.enter_context(serving(program)) for program in programs]
            if has_isso:
                fill_isso(servers[-1])
            gets = [Case("GET", server, server.program.gets) for server in servers]
            posts = [Case("POST", server, server.program.posts) for server in servers]
            _measure_throughput(gets + posts, results, scale)
            _measure_latency(gets + posts, results, scale)
    return results


def _measure_throughput(cases: Sequence[Case], results: Results, scale: Scale) -> None:
    for case in _rounds(cases, scale.rounds, "throughput"):
        with _exit_on_failure(case):
            before = case.server.cpu()
            requests, seconds = saturate(case.server.port, case.requests, seconds=scale.seconds, folder=WORK)
        samples = results[case.key]
        samples.requests_per_second.append(requests / seconds)
        samples.cpu_us.append((case.server.cpu() - before) / requests * 1e6)


def _measure_latency(cases: Sequence[Case], results: Results, scale: Scale) -> None:
    for case in _rounds(cases, scale.latency_rounds, "latency at half load"):
        samples = results[case.key]
        rate = statistics.median(samples.requests_per_second) / 2
        with _exit_on_failure(case):
            measured = send_at_rate(case.server.port, case.requests, rate=rate, seconds=scale.latency_seconds)
        samples.p99_ms.append(measured.p99)
        samples.lag_ms.append(measured.lag)


@contextmanager
def _exit_on_failure(case: Case) -> Iterator[None]:
    try:
        yield
    except (LoadError, OSError) as error:
        what, program = case.key
        sys.exit(f"error: {what}, {program}: {error}; see {case.server.program.log}")


Item = TypeVar("Item")


def _rounds(items: Sequence[Item], rounds: int, what: str) -> Iterator[Item]:
    """Yield all items in each round, in a different order each time."""
    for number in range(rounds):
        print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr)
        yield from random.Random(number).sample(items, len(items))  # noqa: S311  # not a secret


if __name__ == "__main__":
    main()
