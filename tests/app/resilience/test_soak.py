"""A few thousand requests of all kinds leave no memory and no file descriptors behind."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.app.resilience.connection import HEALTH, comment, connect, framed, get, post
from tests.app.support import Server
from tests.machine import needs

USERS, ROUNDS = 4, 20
MIXED = (
    (200, get(b"/api/comment/list/1?limit=20")),
    (200, get(b"/status")),
    (200, get(b"/api/status")),
    (200, HEALTH),
    (404, get(b"/nowhere")),
    (400, post(b"{")),
    (401, get(b"/api/moderation/held")),
    (400, framed(b"Content-Length: -1")),  # closes the connection, so it comes last
)
MAX_GROWTH = 4_000_000
"""Bytes. The 2,400 requests in between would exceed it if each leaked 1.7 kB."""


def test_a_soak_leaves_no_memory_and_no_descriptors_behind(serve: Callable[..., Server]) -> None:
    needs(sys.platform == "linux", "reads memory and file descriptors from /proc")
    server = serve(COMMENTS_MODERATOR_TOKEN="moderator-of-the-test")  # not shared: freed memory would hide leaks
    soak(server, ROUNDS)
    memory, files = memory_bytes(server), open_files(server)
    soak(server, 3 * ROUNDS)
    assert memory_bytes(server) < memory + MAX_GROWTH
    assert open_files(server) <= files + 2


def soak(server: Server, rounds: int) -> None:
    def use(name: int) -> None:
        for number in range(rounds):
            with connect(server.port) as connection:
                new = post(comment(b"%d" % number), b"Idempotency-Key: %d-%d-%d" % (rounds, name, number))
                assert connection.ask(new).status == 200
                assert connection.ask(new).status == 200  # the retry stores nothing
                for status, request in MIXED:
                    assert connection.ask(request).status == status

    with ThreadPoolExecutor(USERS) as users:
        list(users.map(use, range(USERS)))


def memory_bytes(server: Server) -> int:
    """Return the memory of its processes, without files that other processes map too."""
    lines = [line for folder in processes(server) for line in (folder / "smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))


def open_files(server: Server) -> int:
    return sum(len(list((folder / "fd").iterdir())) for folder in processes(server))


def processes(server: Server) -> list[Path]:
    return [Path(f"/proc/{pid}") for pid in (server.process.pid, *server.workers)]
