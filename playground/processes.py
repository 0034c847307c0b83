"""Finds and ends the processes that belong to a playground, by the folder that they carry in their command line."""

import os
import signal
import subprocess
import time
from pathlib import Path

from playground.state import Playground

TERM_SECONDS = 15.0


def mark(playground: Playground) -> str:
    """How the argument ends by which a playground's processes are known."""
    return f"playground={playground.folder}"


def command_lines() -> dict[int, list[str]]:
    """Every process's arguments, from /proc where there is one."""
    if Path("/proc/self/cmdline").exists():
        found: dict[int, list[str]] = {}
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found[int(entry.parent.name)] = entry.read_bytes().decode(errors="replace").split("\0")
            except OSError:  # it has ended meanwhile
                continue
        return found
    listed = subprocess.check_output(["ps", "-axo", "pid=,args="], text=True)
    return {int(pid): rest for pid, *rest in (line.split() for line in listed.splitlines())}


def of(playground: Playground) -> list[int]:
    ours = mark(playground)
    return [
        pid for pid, args in command_lines().items() if pid != os.getpid() and any(arg.endswith(ours) for arg in args)
    ]


def end(playground: Playground) -> int:
    """End them politely, then by force; returns how many there were."""
    first = of(playground)
    for number, patience in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, TERM_SECONDS)):
        for pid in of(playground):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while of(playground) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(first)
