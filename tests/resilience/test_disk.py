"""A disk that fills up, a database that may not be written, an old one and a damaged one."""

import ctypes
import fcntl
import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bench.machine import family
from comments.store.sqlite_schema import MIGRATIONS
from tests.app.conftest import ROOT, wait_until
from tests.app.test_server import GUNICORN
from tests.machine import needs
from tests.resilience.requests import post, read, unavailable

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1
"""Linux: prctl(2), capabilities(7)."""

UNLIMITED = resource.RLIM_INFINITY
PAGE = 4096


def limit_files(server, size):
    """What a full disk does: nothing grows any further."""
    needs(sys.platform == "linux", "only Linux limits the files of a process that runs")
    for pid in family(server.process.pid):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


def refused_start(store, **options):
    """Return what the service prints when it does not start."""
    ended = subprocess.run(
        [GUNICORN, "--bind", "127.0.0.1:0", "api:app"],
        cwd=ROOT / "app",
        env=os.environ | {"COMMENTS_STORE": f"sqlite:///{store}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )
    assert ended.returncode != 0
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in ended.stderr
    return line


def respect_permissions():
    """Let root, who may write everywhere, be refused as any other user is."""
    if os.getuid() == 0 and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def test_a_full_disk_refuses_posts_serves_reads_and_goes_on_when_there_is_room(serve, tmp_path):
    server = serve()
    assert post(server, "before").status == 200
    limit_files(server, (tmp_path / "comments.db-wal").stat().st_size)
    for _ in range(3):
        assert unavailable(post(server, "on a full disk", key="one"))
    assert [comment["comment"] for comment in read(server).body] == ["before"]
    assert server.healthy()
    limit_files(server, UNLIMITED)
    assert post(server, "on a full disk", key="one").status == 200
    assert [comment["comment"] for comment in read(server).body] == ["before", "on a full disk"]
    assert "look after its disk" in server.log.read_text()


@pytest.mark.parametrize(("database", "folder"), [(0o444, 0o755), (0o644, 0o555)], ids=["file", "folder"])
def test_a_read_only_database_is_refused_with_its_name_and_what_to_do(tmp_path, database, folder):
    path = tmp_path / "comments.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode = WAL")
    path.chmod(database)
    tmp_path.chmod(folder)
    try:
        line = refused_start(path, preexec_fn=respect_permissions)
    finally:
        tmp_path.chmod(0o755)
    assert line.startswith(f"error: COMMENTS_STORE: {path} cannot be opened: ")
    assert "let the service's user write to the file and to its folder" in line


def test_a_database_of_the_first_version_is_brought_up_to_date_with_its_comments(serve, tmp_path):
    old = "019a0000-0000-7000-8000-000000000000"
    with closing(sqlite3.connect(tmp_path / "comments.db")) as made:
        for statement in MIGRATIONS[0]:
            made.execute(statement)
        made.execute("INSERT INTO comment VALUES (1, ?, 'a@example.com', 'old', '2026-01-01T00:00:00.000Z')", (old,))
        made.execute("PRAGMA user_version = 1")
        made.commit()
    server = serve(WEB_CONCURRENCY="2")
    first, again = (post(server, "new", key="one") for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    assert [(comment["id"], comment["comment"]) for comment in read(server).body] == [
        (old, "old"),
        (first.body["id"], "new"),
    ]


@pytest.fixture
def filled(serve, tmp_path):
    """A database of a few hundred pages, thread by thread, as it lies after a stop."""
    server = serve()
    for thread in range(1, 41):
        assert post(server, f"{thread} " + "x" * 9000, thread=thread).status == 200
    server.process.terminate()
    server.process.wait(30)
    with closing(sqlite3.connect(tmp_path / "comments.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return tmp_path / "comments.db"


def test_a_truncated_database_is_refused_or_serves_what_is_there(filled):
    with filled.open("r+b") as database:
        database.truncate(filled.stat().st_size // 2)
    line = refused_start(filled)
    assert line.startswith(f"error: COMMENTS_STORE: {filled} cannot be opened: ")
    assert "restore a backup" in line


def test_damaged_pages_cost_no_more_than_the_threads_on_them(filled, serve):
    """Random bytes over single pages, the first excepted; whatever can be read is, and the rest says what to do."""
    pages = filled.stat().st_size // PAGE
    chance = random.Random(1)
    whole = filled.read_bytes()
    seen = set()
    for _ in range(3):
        damaged = bytearray(whole)
        for page in chance.sample(range(3, pages), 8):
            damaged[page * PAGE : (page + 1) * PAGE] = chance.randbytes(PAGE)
        filled.write_bytes(damaged)
        server = serve()
        for thread in range(1, 41):
            answer = read(server, thread)
            seen.add(answer.status)
            assert unavailable(answer) or answer.status in (200, 404)
            posted = post(server, "after", thread=thread)
            assert unavailable(posted) or posted.status == 200
        assert server.healthy()
        server.process.terminate()
        server.process.wait(30)
        for side in ("-wal", "-shm"):
            Path(f"{filled}{side}").unlink(missing_ok=True)
        assert "restore a backup" in server.log.read_text()
    assert {200, 503} <= seen


def test_a_commit_that_stalls_costs_posts_only(serve, tmp_path):
    """Another process holds the turn to write; the first posts wait for it, and then no thread does any more."""
    server = serve()
    assert post(server, "before").status == 200
    with (tmp_path / "comments.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = [threading.Thread(target=post, args=(server, f"stalled {number}")) for number in range(3)]
        [thread.start() for thread in waiting]
        wait_until(lambda: unavailable(post(server, "refused")), server.process)
        assert read(server).status == 200
        assert server.healthy()
    [thread.join() for thread in waiting]
    wait_until(lambda: post(server, "after").status == 200, server.process)
    listed = [comment["comment"] for comment in read(server).body]
    assert listed[0] == "before"
    assert listed[-1] == "after"
    assert "refused" not in listed
