"""The machine under the benchmarks: which core runs what, what processes have used, free ports."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
WORK = BUILD / "bench"
"""What the benchmarks keep between runs: databases, Isso's virtual environment, the servers' logs."""

PINS = hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1
CORES = sorted(os.sched_getaffinity(0)) if PINS else []
SERVER = {CORES[0]} if PINS else set[int]()
CLIENT = {CORES[1]} if PINS else set[int]()
"""One core for the servers, another for whoever asks them, where the system can pin and has two."""

TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """Run on these cores, and start processes that stay there."""
    if not PINS:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def where() -> str:
    """Say in the report what was pinned."""
    return "the servers on one core, the load generator on another" if PINS else "nothing pinned to a core"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def family(pid: int) -> list[int]:
    """Return the process and all that descend from it; itself alone where there is no /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [pid, *(each for child in below for each in family(child))]


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU that the process and its children have used, None where there is no /proc."""
    try:
        times = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid)]
    except OSError:
        return None
    return sum(int(fields[11]) + int(fields[12]) for fields in times) / TICK


def pss_megabytes(pid: int) -> float | None:
    """Return the memory of the process and its children, pages that they share counted once; None without /proc."""
    total = 0
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            return None
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6
