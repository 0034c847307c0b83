"""How far a transfer has come, on stderr: a line that changes on a terminal, one every ten seconds elsewhere."""

import sys
import time

TERMINAL_INTERVAL = 0.2
LOG_INTERVAL = 10.0
"""Seconds between two lines: often enough for an eye, and for a log."""


class Progress:
    """Counts comments; `done` is the past participle that the lines begin with."""

    def __init__(self, done: str) -> None:
        self._done = done
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self.count = 0

    def add(self, comments: int) -> None:
        self.count += comments
        now = time.monotonic()
        if now - self._shown >= (TERMINAL_INTERVAL if self._terminal else LOG_INTERVAL):
            self._shown = now
            print(f"\r{self}\033[K" if self._terminal else self, end="" if self._terminal else "\n", file=sys.stderr)
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave the terminal's line to what is printed next."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self._began, 0.001)
        return f"{self._done} {self.count:,} comments, {self.count / seconds:,.0f} a second"
