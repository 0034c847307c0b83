"""The SQLite store: old files, several processes, and what goes wrong with disks, files and locks."""

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from comments.errors import StoreError
from comments.ids import id_at, now, ticks
from comments.schemas import Comment, NewComment
from comments.stores import sqlite
from comments.stores.sqlite import SQLiteStore
from tests.app.conftest import ALICE, Serve, wait_until
from tests.client import listed, post

OLD = "01a2172b-aed0-7b32-9098-412f1de1b7de"
OLD_COMMENT = NewComment(content_id=1, email="alice@example.com", comment="published").stored(OLD, held=False)
RELEASE_0_1 = f"""
CREATE TABLE comment (
    content_id INTEGER NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, comment TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (content_id, id)
) WITHOUT ROWID, STRICT;
INSERT INTO comment VALUES (1, '{OLD}', 'alice@example.com', 'published', '2026-11-26T09:24:28.496Z');
CREATE TABLE held (
    content_id INTEGER NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, comment TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (id)
) WITHOUT ROWID, STRICT;
INSERT INTO held
    VALUES (2, '01a2172b-aed1-7569-8411-51a101ae2235', 'bob@example.com', 'held', '2026-11-26T09:24:28.497Z');
CREATE TABLE idempotency_key (
    key TEXT NOT NULL PRIMARY KEY, fingerprint TEXT NOT NULL, id TEXT NOT NULL, held INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO idempotency_key VALUES ('a34f17e689774b9d48e089b773e90235fdc7d8f8b984e5255a656bbd4dd0b7d7',
    '9cf5c7693e6b575a6322591006d6037831a3f42fa22cc5a62f97a7abfa7c990c', '{OLD}', 0, {int(time.time()) + 3600});
CREATE INDEX idempotency_key_expires_at ON idempotency_key (expires_at);
PRAGMA user_version = 2;
"""
"""What release 0.1 wrote; alice posted with the key "key of alice"."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "comments.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with closing(SQLiteStore(path)) as opened:
        yield opened


def add_comment(store: SQLiteStore, text: str, content_id: int = 1, key: str = "") -> str:
    return store.add(NewComment(content_id=content_id, email="alice@example.com", comment=text), key=key)["id"]


def texts(store: SQLiteStore, content_id: int = 1) -> list[str]:
    return [comment["comment"] for comment in store.list_comments(content_id, limit=1000).comments]


def create(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


# Files of other versions


def test_a_file_of_release_0_1_keeps_its_comments_and_keys(path: Path) -> None:
    create(path, RELEASE_0_1)
    for count in (1, 2):
        with closing(SQLiteStore(path)) as store:
            assert store.get(1, OLD) == OLD_COMMENT
            assert add_comment(store, "published", key="key of alice") == OLD
            assert add_comment(store, "new") > OLD
            assert texts(store) == ["published"] + ["new"] * count
            for held in store.list_held(limit=10).comments:
                assert store.approve(2, held["id"])
            assert texts(store, 2) == ["held"]


def test_a_file_of_a_newer_version_is_rejected_and_left_unchanged(path: Path) -> None:
    create(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        SQLiteStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == []


# Several processes and many requests; tests/resilience has more


Lock = Callable[[Path], AbstractContextManager[None]]


@contextmanager
def lock_of_another_process(path: Path) -> Iterator[None]:
    with Path(f"{path}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def lock_of_another_program(path: Path) -> Iterator[None]:
    """Lock the file as the sqlite3 shell does, which does not know the lock file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("lock", [lock_of_another_process, lock_of_another_program])
def test_a_write_that_waits_too_long_fails_and_is_never_applied(
    store: SQLiteStore, path: Path, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_comment(store, "before")
    with lock(path), ThreadPoolExecutor(3) as pool, monkeypatch.context() as patch:
        patch.setattr(sqlite, "TIMEOUT", 0.2)
        for write in [pool.submit(add_comment, store, "refused") for _ in range(3)]:
            assert isinstance(write.exception(), StoreError)
        assert texts(store) == ["before"]
    add_comment(store, "after")
    assert texts(store) == ["before", "after"]


@pytest.mark.parametrize("lock", [lock_of_another_process, lock_of_another_program])
def test_a_locked_file_delays_writes_only(serve: Serve, path: Path, lock: Lock) -> None:
    server = serve()
    post(server.url, "first")
    with ThreadPoolExecutor(100) as pool:
        with lock(path):
            writes = [pool.submit(post, server.url, str(number)) for number in range(100)]
            for _ in range(20):
                assert listed(server.url, 1) == ["first"]
                assert server.healthy()
            assert not any(write.done() for write in writes)
        for write in writes:
            write.result()
    assert len(listed(server.url, 1)) == 101


def test_a_bug_in_one_write_fails_no_other(store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = sqlite._insert

    def fail_for_five(db: sqlite3.Connection, comment: Comment) -> None:
        if comment["comment"] == "5":
            db.execute("DELETE FROM comment")
            raise TypeError("a bug")
        insert(db, comment)

    add_comment(store, "before")
    monkeypatch.setattr(sqlite, "_insert", fail_for_five)
    with ThreadPoolExecutor(10) as pool:
        with lock_of_another_process(path):
            writes = [pool.submit(add_comment, store, str(number)) for number in range(10)]
            wait_until(lambda: store._queue.qsize() == 9)  # the writer holds the first one, and will commit all at once
        errors = [write.exception() for write in writes]
    assert isinstance(errors.pop(5), TypeError)
    assert errors == [None] * 9
    assert sorted(texts(store)) == [*"012346789", "before"]


@pytest.mark.parametrize("held", [False, True])
def test_a_comment_with_a_wrong_time_in_one_thread_does_not_change_the_time_of_others(
    store: SQLiteStore, held: bool
) -> None:
    wrong = id_at(now() + ticks(365 * 86_400))
    store.restore([OLD_COMMENT | {"id": wrong} | ({"held": True} if held else {})])
    new, newest = NewComment.model_validate(ALICE), wrong
    for _ in range(20):  # each is later in the same list, even if the one before was deleted
        comment = store.add(new, held=held)["id"]
        assert comment > newest
        assert store.delete(1, comment)
        newest = comment
    for content_id in (1, 2) if held else (2,):
        assert add_comment(store, "now", content_id) < wrong


# Disks and files


@pytest.mark.parametrize("replacement", [None, "another.db"])
def test_a_file_that_was_moved_takes_no_comments_that_a_restart_would_lose(
    store: SQLiteStore, path: Path, replacement: str | None
) -> None:
    add_comment(store, "before")
    path.rename(path.with_name("moved.db"))
    if replacement:
        with closing(SQLiteStore(path.with_name(replacement))):
            path.with_name(replacement).rename(path)
    for use in (store.ping, lambda: add_comment(store, "lost")):
        with pytest.raises(StoreError, match="was moved, deleted or replaced; restart the service"):
            use()


def test_a_file_that_may_not_be_written_is_named_with_the_remedy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(StoreError, match=f"cannot open {path}: .*; make the file and its directory writable"):
        SQLiteStore(path)


def test_a_full_disk_refuses_comments_until_there_is_space(store: SQLiteStore) -> None:
    add_comment(store, "before")
    limit = store._write.execute("PRAGMA max_page_count").fetchone()[0]
    store._write.execute("PRAGMA max_page_count = 1")  # SQLite rounds it up to the pages that the file has
    for _ in range(3):
        with pytest.raises(StoreError, match="free some disk space; the service recovers without a restart"):
            add_comment(store, "x" * 9000)
        assert texts(store) == ["before"]
    with pytest.raises(StoreError, match="the last write failed"):
        store.ping()  # reading works, but /status must not say that comments are available
    store._write.execute(f"PRAGMA max_page_count = {limit}")
    add_comment(store, "x" * 9000)
    store.ping()
    assert texts(store) == ["before", "x" * 9000]


def test_a_truncated_file_or_another_file_is_rejected_and_left_unchanged(path: Path) -> None:
    with closing(SQLiteStore(path)) as store:
        for _ in range(40):
            add_comment(store, "x" * 9000)
    for content, message in (
        (path.read_bytes()[:200_000], "the file is damaged: stop the service, copy the file"),
        (b"something that must not be overwritten\n" * 100, "the file is not a database"),
    ):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=message):
            SQLiteStore(path)
        assert path.read_bytes() == content
