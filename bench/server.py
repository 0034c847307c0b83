"""A server as it is measured: started on its core, asked until it answers, stopped."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import ROOT, SERVER, WORK, cpu_seconds, free_port, on
from bench.wire import ask

GIVE_UP = 60.0
"""Seconds for a first answer."""

ANSWERED = range(200, 500)

GUNICORN = str(Path(sys.executable).with_name("gunicorn"))


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is started; {port} in the command stands for its port, or it has one already.

    It is up as soon as it answers `ready`, with whatever is no failure.
    """

    name: str
    command: Sequence[str]
    folder: Path = ROOT
    environ: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/api/comment/list/1"
    port: int | None = None


@dataclass(frozen=True)
class Server:
    """One that runs; its log is a file, as a service's goes to a pipe."""

    program: Program
    port: int
    pid: int
    seconds_to_answer: float

    def cpu(self) -> float:
        """Return the CPU that all its processes have used, in seconds; not a number where nobody can tell."""
        used = cpu_seconds(self.pid)
        return float("nan") if used is None else used

    def page(self, path: str) -> bytes:
        status, body = ask(self.port, "GET", path)
        if status != 200:  # noqa: PLR2004  # HTTP OK
            raise SystemExit(f"{self.program.name} answers {status or 'nothing'} to {path}; see {log_of(self.program)}")
        return body


def log_of(program: Program) -> Path:
    return WORK / f"{program.name.replace(' ', '-')}.log"


@contextmanager
def serving(program: Program, *, cores: set[int] = SERVER) -> Iterator[Server]:
    port = program.port or free_port()
    command = [part.format(port=port) for part in program.command]
    log = log_of(program)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, on(cores):
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=program.folder, env=program.environ, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        seconds = _first_answer(program, port, process, began)
        yield Server(program, port, process.pid, seconds)
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _first_answer(program: Program, port: int, process: "subprocess.Popen[bytes]", began: float) -> float:
    while ask(port, "GET", program.ready)[0] not in ANSWERED:
        if process.poll() is not None or time.perf_counter() - began > GIVE_UP:
            raise SystemExit(f"{program.name} does not answer {program.ready}; see {log_of(program)}")
        time.sleep(0.002)
    return time.perf_counter() - began
