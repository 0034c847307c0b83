"""gunicorn with two workers on SQLite, killed at random moments and started again as a supervisor would."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from bench.durability import CHANCE
from bench.durability.clients import Clients
from bench.durability.verdict import Verdict, judge
from bench.machine import ROOT, family, free_port
from bench.wire import ask

START = 20.0
"""Seconds for a start."""

KINDS = ("worker", "master", "all at once")


class Service:
    """A master and its two workers."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.hands = 0
        self._log = folder / "server.log"
        self._environ = os.environ | {"COMMENTS_STORE": f"sqlite:///{folder}/comments.db", "WEB_CONCURRENCY": "2"}
        self.start()

    def start(self) -> None:
        """Start it, once; if it does not answer then, somebody would have had to look after it."""
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [gunicorn, "--bind", f"127.0.0.1:{self.port}", "api:app"],
                cwd=ROOT / "app",
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if not self.answers():
            raise SystemExit(f"the service does not start again; see {self._log}")

    def answers(self) -> bool:
        end = time.monotonic() + START
        while time.monotonic() < end and self._process.poll() is None:
            if ask(self.port, "GET", "/healthz")[0] == 200:  # noqa: PLR2004  # HTTP OK
                return True
            time.sleep(0.02)
        return False

    def kill(self, kind: str) -> None:
        """Kill -9; the workers of a dead master find out for themselves, while the next one starts beside them."""
        master, *workers = family(self._process.pid)
        victims = {"worker": CHANCE.sample(workers, min(1, len(workers))), "master": [master]}
        for pid in victims.get(kind, [master, *workers]):
            os.kill(pid, signal.SIGKILL)
        if kind == "worker":
            self.hands += not self.answers()
        else:
            self._process.wait()
            self.start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(40)


def kill_processes(folder: Path, *, rounds: int) -> Verdict:
    service = Service(folder)
    kills: Counter[str] = Counter()
    try:
        clients = Clients(f"http://127.0.0.1:{service.port}", thread=1)
        with clients:
            for _ in range(rounds):
                time.sleep(CHANCE.uniform(0.05, 0.6))
                kind = CHANCE.choice(KINDS)
                service.kill(kind)
                kills[kind] += 1
        listed = clients.listed()
    finally:
        service.stop()
    with closing(sqlite3.connect(folder / "comments.db")) as database:
        if database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            raise SystemExit("the database is damaged")
    return judge("SQLite, two workers", kills=kills, ledger=clients.ledger, listed=listed, hands=service.hands)
