"""How the kernel runs a worker's threads, which take turns anyway: one of them at a time holds the interpreter."""

import os
import random
from collections.abc import Sequence
from contextlib import suppress


def choose_core(taken: Sequence[int | None]) -> int:
    """Return a core that the fewest workers have, any of those: another service here may choose as well."""
    cores = sorted(os.sched_getaffinity(0))
    return min(random.sample(cores, k=len(cores)), key=taken.count)


def keep_to(core: int) -> None:
    """Keep the threads on one core: woken on another, each would wait there until the interpreter's lock comes over."""
    with suppress(OSError):  # a sandbox may forbid it; it costs time, nothing else
        os.sched_setaffinity(0, {core})


def take_turns() -> None:
    """Let a thread that wakes another go on, since the other would only wait for the interpreter's lock."""
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # as above
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
