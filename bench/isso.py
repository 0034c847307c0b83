"""Isso, the comment server that people would use instead: in a virtual environment of its own, in its better mode."""

import subprocess
import sys

import orjson

from bench.data import PAGE, comment
from bench.load import saturate
from bench.machine import ROOT, WORK, free_port
from bench.programs import CLEAN, THREADS
from bench.server import Program, Server, serving
from bench.wire import ask, get, post

REQUIREMENTS = ROOT / "bench/requirements-isso.txt"
VENV = WORK / "isso-venv"

PIP = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]

SETTINGS = """
[general]
dbpath = {database}
host = http://127.0.0.1:{port}/
[server]
listen = http://127.0.0.1:{port}
[guard]
enabled = false
"""
"""As it comes, but for the guard, which takes two comments a minute from one address."""


def install() -> str:
    """Install the pinned Isso, once for each content of its lock file; return why it cannot be, or nothing."""
    done = VENV / "installed"
    if installed():
        return ""
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        [str(VENV / "bin/python"), *PIP, "-r", str(REQUIREMENTS)],
    )
    for step in steps:
        ran = subprocess.run(step, capture_output=True, text=True, check=False)
        if ran.returncode:
            return f"Isso cannot be installed: {(ran.stderr.strip().splitlines() or ['pip fails'])[-1]}"
    done.write_bytes(REQUIREMENTS.read_bytes())
    return ""


def installed() -> bool:
    done = VENV / "installed"
    return done.exists() and done.read_bytes() == REQUIREMENTS.read_bytes()


def modes() -> list[Program]:
    """Return its own server, and gunicorn's two kinds of worker, each with an empty database."""
    gunicorn = [str(VENV / "bin/gunicorn"), "--bind", "127.0.0.1:{port}"]
    threads = ["--worker-class", "gthread", "--threads", "8"]
    return [
        _program("own server", [str(VENV / "bin/isso"), "-c", "{settings}", "run"]),
        _program("gunicorn sync", [*gunicorn, "isso.run:application"]),
        _program("gunicorn gthread", [*gunicorn, *threads, "isso.run:application"]),
    ]


def _program(mode: str, command: list[str]) -> Program:
    port = free_port()
    files = WORK / f"isso-{mode.replace(' ', '-')}"
    for left in WORK.glob(f"{files.name}.db*"):
        left.unlink()
    settings = files.with_suffix(".cfg")
    settings.write_text(SETTINGS.format(database=files.with_suffix(".db"), port=port))
    return Program(
        name=f"Isso, {mode}",
        command=[part.replace("{settings}", str(settings)) for part in command],
        environ={**CLEAN, "ISSO_SETTINGS": str(settings)},
        ready="/info",
        port=port,
    )


def better_mode(seconds: float) -> tuple[Program, dict[str, float]]:
    """Try each mode with lists of 20, so long; return the one that answers most, and what each answered a second."""
    tried: list[tuple[float, Program]] = []
    for program in modes():
        with serving(program) as server:
            settle(server)
            tried.append((saturate(server.port, gets(), seconds=seconds).rate, program))
    best = max(tried, key=lambda each: each[0])[1]
    return best, {program.name: rate for rate, program in tried}


def uri(thread: int) -> str:
    return f"%2Fthread%2F{thread}%2F"


def body(number: int) -> bytes:
    made = comment(number)
    # With a title it does not ask the site for one.
    return orjson.dumps({"author": "visitor", "email": made["email"], "text": made["comment"], "title": "thread"})


def gets() -> list[bytes]:
    return [get(f"/?uri={uri(1)}")]


def posts() -> list[bytes]:
    return [post(f"/new?uri={uri(2 + number)}", body(number)) for number in range(THREADS)]


def settle(server: Server) -> None:
    """Give it one thread of 20 to answer, unless it has one."""
    status, page = ask(server.port, "GET", f"/?uri={uri(1)}")
    there = len(orjson.loads(page).get("replies", [])) if status in range(200, 300) else 0
    for number in range(there, PAGE):
        status, answer = ask(server.port, "POST", f"/new?uri={uri(1)}", body(number))
        if status not in range(200, 300):
            raise SystemExit(f"Isso answers {status} to a comment: {answer[:200]!r}")
