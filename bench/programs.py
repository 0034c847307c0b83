"""The servers that are compared, and the requests that each is asked."""

import os
import shutil
from collections.abc import Mapping

import orjson

from bench.data import PAGE, comment, database
from bench.machine import ROOT, WORK
from bench.server import GUNICORN, Program, Server
from bench.wire import ask, get, post

THREADS = 500
"""Threads that requests go round in, spread evenly over all that are stored; reads and posts go to different ones."""

POSTED = 9_000_000
"""Threads from here on are those that a benchmark posts to."""

OK = 200
NEW = "/api/comment/new"
PAGE_FILE = WORK / "page.json"
SETTING = ("COMMENTS_", "WEB_CONCURRENCY", "GUNICORN_", "PYTHON", "AWS_")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(SETTING)}
"""The environment without what would change a server's settings, or keep Python from using its bytecode."""


def service(name: str, store: str, environ: Mapping[str, str] = CLEAN) -> Program:
    """Return this service as it is shipped: its own gunicorn.conf.py, every request logged."""
    return Program(
        name=name,
        command=[GUNICORN, "--bind", "127.0.0.1:{port}", "api:app"],
        folder=ROOT / "app",
        environ={**environ, "COMMENTS_STORE": store},
        ready="/healthz",
    )


def service_on_sqlite(stored: int) -> Program:
    """Return the service on a copy of a database with so many comments, since some benchmarks write to it."""
    kept, path = database(stored), WORK / f"run-{stored}.db"
    for left in WORK.glob(f"{path.name}*"):
        left.unlink()
    shutil.copyfile(kept, path)
    return service(f"service on {stored:,} comments", f"sqlite:///{path}")


def yardstick() -> Program:
    """Return the bare Flask view; PAGE_FILE must hold the service's page."""
    gthread = ["--workers", "1", "--worker-class", "gthread", "--threads", "8"]
    return Program(
        name="yardstick",
        command=[GUNICORN, *gthread, "--bind", "127.0.0.1:{port}", "yardstick:app"],
        folder=ROOT / "bench/apps",
        environ={**CLEAN, "BENCH_PAGE": str(PAGE_FILE)},
    )


def original() -> Program:
    return Program(
        name="original design",
        command=[GUNICORN, "--bind", "127.0.0.1:{port}", "original:app"],
        folder=ROOT / "bench/apps",
        environ=CLEAN,
    )


def path_of(thread: int) -> str:
    return f"/api/comment/list/{thread}"


def gets(stored: int) -> list[bytes]:
    threads = max(1, stored // PAGE)
    step = max(1, threads // THREADS)
    return [get(path_of(thread)) for thread in range(1, threads + 1, step)][:THREADS]


def body(number: int, thread: int) -> bytes:
    made = comment(number)
    return orjson.dumps({"content_id": thread, "email": made["email"], "comment": made["comment"]})


def posts() -> list[bytes]:
    return [post(NEW, body(number, POSTED + number)) for number in range(THREADS)]


def settle(server: Server) -> None:
    """Give the original's dict one thread of 20 to answer."""
    for number in range(PAGE):
        if ask(server.port, "POST", NEW, body(number, 1))[0] != OK:
            raise SystemExit(f"{server.program.name} takes no comment")
