"""Runs the tools that a release is made of, and ends them when the release is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from release.errors import CommandError, NotReadyError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
"""Holds cdk.json, the Dockerfile and the repository; every tool runs here."""
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
GRACE_SECONDS = 10.0
LAST_LINES = 25  # of a tool's output, repeated below a failure


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path = PROJECT_ROOT,
    stdin: str | None = None,
    on_line: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Run to the end and return the lines of both streams, handing each to `on_line` as it comes.

    Raises CommandError with the last lines for a status other than zero, NotReadyError if there is no such tool.
    """
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # so that it can be ended with all that it starts: node may be behind a wrapper
        )
    except FileNotFoundError:
        raise NotReadyError(f"{command[0]} is not installed or not in PATH") from None
    with process:
        try:
            if stdin is not None and process.stdin is not None:
                process.stdin.write(stdin)
                process.stdin.close()
            for line in process.stdout or ():
                lines.append(_COLOR.sub("", line).rstrip())
                on_line(lines[-1])
        except BaseException:  # an interrupt too: the tool must not go on alone
            _end(process)
            raise
    if process.returncode:
        shown = " ".join(command[:2])
        raise CommandError(f"{shown} ended with status {process.returncode}", *lines[-LAST_LINES:])
    return lines


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the tool and its children to end, and insist after a while."""
    for last in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, last)
            process.wait(GRACE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
