"""Whether the service grows while it runs: `python -m bench.soak`, 30 minutes at half of what the container can do.

Exits with 1 if at the end it holds 5 % more memory than after the first sixth of the time, five minutes of 30, or a
descriptor or a thread more, or if anything but the right answer was given.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.soak_load import Load
from bench.soak_target import Held, Target, container, process
from infra.stages import STAGES

PARTS = 6
"""A look at the server after each sixth of the time; the first one is what the last is compared with."""
MORE_MEMORY = 0.05
_WARM_UP = 10
"""Seconds at full load: it tells what half is, and starts every thread that will ever be."""
_WARM = 1_500
"""Answers after which every thread has had its turn and its caches."""
_LET_GO = 5
"""Seconds for the server to see that clients have gone."""
_MB = 1e6


@dataclass(frozen=True)
class Look:
    """What the server held after so many minutes and so many right answers."""

    minutes: float
    answers: int
    held: Held


def soak(target: Target, *, minutes: float, rate: float | None) -> tuple[str, list[Look], Load]:
    """Load the server for that long; without a rate half of its capacity is taken."""
    load = Load(target.host, target.port)
    load.wait_until_up()
    load.fill()
    capacity = load.run(seconds=min(_WARM_UP, 3 + minutes * 10))
    for _ in range(_WARM_UP):  # a short soak on a busy machine has not done much by now
        if load.answers.right < _WARM:
            load.run(seconds=1)
    chosen = rate or capacity / 2
    head = f"{target.what}: {capacity:.0f} requests a second at most, {chosen:.0f} sent"
    print(head, file=sys.stderr)
    looks = [look(target, load, 0)]
    for part in range(1, PARTS + 1):
        load.run(seconds=minutes * 60 / PARTS, rate=chosen)
        looks.append(look(target, load, minutes * part / PARTS))
        print(row(looks[-1]), file=sys.stderr)
    return head, looks, load


def look(target: Target, load: Load, minutes: float) -> Look:
    """Look at the server once the connections of its clients are gone from it."""
    found = target.held()
    end = time.monotonic() + _LET_GO
    while time.monotonic() < end and (again := target.held()).files != found.files:
        found = again
    return Look(minutes, load.answers.right, found)


def complaints(first: Look, last: Look, wrong: dict[str, int]) -> Iterator[str]:
    """Yield what speaks against the server."""
    before, after = first.held, last.held
    if (growth := _growth(first, last)) > MORE_MEMORY:
        yield f"memory grew by {growth:.1%}, more than {MORE_MEMORY:.0%}"
    for what, more in (("descriptors", after.files - before.files), ("threads", after.threads - before.threads)):
        if more > 0:
            yield f"{more} more {what} at the end"
    for what, times in sorted(wrong.items()):
        yield f"{times} times {what}"


def _growth(first: Look, last: Look) -> float:
    return last.held.anonymous / first.held.anonymous - 1


def row(taken: Look) -> str:
    held = taken.held
    memory = (held.anonymous, held.pss, held.group)
    megabytes = " | ".join("" if each is None else f"{each / _MB:.1f}" for each in memory)
    return f"| {taken.minutes:.3g} | {taken.answers:,} | {megabytes} | {held.files} | {held.threads} |"


def report(head: str, looks: Sequence[Look]) -> Iterator[str]:
    yield from (head, "", "| minutes | right answers | allocated, MB | PSS, MB | group, MB | descriptors | threads |")
    yield from ("|---|---|---|---|---|---|---|", *map(row, looks), "")
    yield f"allocated memory from minute {looks[1].minutes:.3g} to the end: {_growth(looks[1], looks[-1]):+.1%}"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, help="requests a second; default: half of what is answered at most")
    parser.add_argument("--stage", choices=sorted(STAGES), default="prod", help="whose CPU and memory a container gets")
    parser.add_argument("--process", action="store_true", help="the server from the source, where there is no Docker")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the service")
    parser.add_argument("--docker", action="append", default=[], metavar="OPTION", help="such as --cpuset-cpus=0")
    options = parser.parse_args(given)
    environment = dict(setting.split("=", 1) for setting in options.env)
    running: AbstractContextManager[Target] = (
        process(environment) if options.process else container(STAGES[options.stage], environment, options.docker)
    )
    try:
        with running as target:
            head, looks, load = soak(target, minutes=options.minutes, rate=options.rate)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"error: docker {error.cmd[1]}: {(error.stderr.strip().splitlines() or ['failed'])[-1]}"
        ) from None
    print(*report(head, looks), sep="\n")
    against = list(complaints(looks[1], looks[-1], load.answers.wrong))
    for each in against:
        print(f"error: {each}", file=sys.stderr)
    return 1 if against else 0


if __name__ == "__main__":
    sys.exit(main())
