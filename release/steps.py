"""Shows a release as it goes: each step, what happens within it, and how long it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Steps:
    """Prints to one stream; safe to call from the thread that watches a deployment."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, and say when it ends: well, badly or interrupted, each with its duration in seconds."""
        started = time.monotonic()
        outcome = "failed"
        try:
            self._print(f"==> {title}")
            yield
            outcome = "done"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            self._print(f"    {outcome} in {time.monotonic() - started:.1f} s")

    def note(self, line: str) -> None:
        """A line within the current step."""
        self._print(f"    {line}")

    def result(self, line: str) -> None:
        """A line that belongs to the whole release."""
        self._print(line)

    def _print(self, line: str) -> None:
        with self._lock:
            print(line, file=self._stream, flush=True)
