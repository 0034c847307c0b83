"""Prints the steps of a command, and on a terminal a live view below them of what AWS is doing."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

LINE_SECONDS = 20.0
"""Interval at which the rows of the live view are printed as a line if there is no terminal."""


class _View:
    """Rows with a name and a text, below a spinner with the duration of the step."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.started = self.printed = time.monotonic()
        self._spinner = Spinner("line" if _CONSOLE.options.ascii_only else "dots")

    def start(self) -> None:
        self.rows.clear()
        self.started = self.printed = time.monotonic()

    def __rich__(self) -> Group:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        self._spinner.update(text=f"{minutes}:{seconds:02}")
        table = Table.grid(padding=(0, 2))
        for name, text in list(self.rows.items()):
            table.add_row(f"    {name}", text)
        return Group(table, self._spinner)


_CONSOLE = Console(highlight=False, markup=False, emoji=False)
_VIEW = _View()
"""Of the current step: a command has one at a time."""


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a step, then its outcome and duration. In GitHub Actions, its lines form a group."""
    outcome = "failed"
    in_actions = os.environ.get("GITHUB_ACTIONS") == "true"
    _VIEW.start()
    print("::group::" * in_actions + f"==> {title}", flush=True)
    try:
        with Live(_VIEW, console=_CONSOLE, transient=True) if _is_terminal() else nullcontext():
            yield
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        note(f"{outcome} in {time.monotonic() - _VIEW.started:.1f} s")
        if in_actions:
            print("::endgroup::", flush=True)


def note(line: str) -> None:
    """Print a line within the current step. Several threads may do so, hence the single write."""
    if _is_terminal():  # above the live view
        _CONSOLE.print(f"    {line}", soft_wrap=True)
    else:
        print(f"    {line}\n", end="", flush=True)


def progress(name: str, text: str) -> None:
    """Set a row of the live view, which disappears with the step. Without a terminal, print the rows now and then."""
    _VIEW.rows[name] = text
    if not _is_terminal() and time.monotonic() - _VIEW.printed > LINE_SECONDS:
        _VIEW.printed = time.monotonic()
        note("; ".join(f"{name}: {text}" for name, text in list(_VIEW.rows.items())))


def _is_terminal() -> bool:
    return sys.stdout.isatty() and not _CONSOLE.is_dumb_terminal
