"""The SQLite store: files of others, several processes, and what goes wrong with disks, files and locks."""

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from bench.disk import compile_slow_disk
from comments.comment import Comment, NewComment
from comments.errors import StoreError
from comments.stores import sqlite, sqlite_writer
from comments.stores.sqlite import SQLiteStore
from comments.stores.sqlite_rows import insert
from tests.app.support import Serve, wait_until
from tests.client import listed, post
from tests.machine import needs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "comments.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with closing(SQLiteStore(path)) as opened:
        yield opened


def add_comment(store: SQLiteStore, text: str, content_id: int = 1, key: str = "") -> str:
    return store.add(NewComment(content_id=content_id, email="alice@example.com", comment=text), key=key)["id"]


def writer_of(store: SQLiteStore) -> sqlite_writer.Writer:
    assert store._writer
    return store._writer


def texts(store: SQLiteStore, content_id: int = 1) -> list[str]:
    return [comment["comment"] for comment in store.list_comments(content_id, limit=1000).comments]


def create(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


# Files of other versions and applications


def test_a_file_of_a_newer_version_is_rejected_and_left_unchanged(path: Path) -> None:
    create(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        SQLiteStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == []


@pytest.mark.parametrize(
    "script", ["CREATE TABLE comment (id)", "PRAGMA application_id = 1", "CREATE TABLE auth_user (id)"]
)
def test_a_database_of_another_application_is_rejected_and_left_unchanged(path: Path, script: str) -> None:
    create(path, script)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="belongs to another application; use another file"):
        SQLiteStore(path)
    assert path.read_bytes() == before


# Several processes and many requests; resilience has more


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
        patch.setattr(sqlite_writer, "TIMEOUT", 0.2)
        for write in [pool.submit(add_comment, store, "refused") for _ in range(3)]:
            assert isinstance(write.exception(), StoreError)
        assert texts(store) == ["before"]
    add_comment(store, "after")
    assert texts(store) == ["before", "after"]


def test_reads_are_served_while_a_commit_waits_for_the_disk(serve: Serve, tmp_path: Path) -> None:
    needs(shutil.which("gcc"), "gcc is not installed")
    hang = tmp_path / "hang"
    server = serve(LD_PRELOAD=str(compile_slow_disk(tmp_path)), SLOW_DISK_HANG=str(hang))
    post(server.url, "first")
    hang.touch()
    with ThreadPoolExecutor(20) as pool:
        writes = [pool.submit(post, server.url, str(number)) for number in range(20)]
        try:
            for _ in range(50):
                assert listed(server.url, 1) == ["first"]
                assert server.healthy()
            assert not any(write.done() for write in writes)
        finally:
            hang.unlink()
        for write in writes:
            write.result()
    assert len(listed(server.url, 1)) == 21
    assert '"level":"error"' not in server.log.read_text()


def test_a_bug_in_one_write_fails_no_other(store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_for_five(db: sqlite3.Connection, comment: Comment) -> None:
        if comment["comment"] == "5":
            db.execute("DELETE FROM comment")
            raise TypeError("a bug")
        insert(db, comment)

    add_comment(store, "before")
    monkeypatch.setattr("comments.stores.sqlite.insert", fail_for_five)
    with ThreadPoolExecutor(10) as pool:
        with lock_of_another_process(path):
            writes = [pool.submit(add_comment, store, str(number)) for number in range(10)]
            wait_until(
                lambda: writer_of(store)._queue.qsize() == 9
            )  # the writer holds the first one, and will commit all at once
        errors = [write.exception() for write in writes]
    assert isinstance(errors.pop(5), TypeError)
    assert errors == [None] * 9
    assert sorted(texts(store)) == [*"012346789", "before"]


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
    connection = writer_of(store)._connection
    limit = connection.execute("PRAGMA max_page_count").fetchone()[0]
    connection.execute("PRAGMA max_page_count = 1")  # SQLite rounds it up to the pages that the file has
    for _ in range(3):
        with pytest.raises(StoreError, match="free some disk space; the service recovers without a restart"):
            add_comment(store, "x" * 9000)
        assert texts(store) == ["before"]
    with pytest.raises(StoreError, match="the last write failed"):
        store.ping()  # reading works, but /status must not say that comments are available
    connection.execute(f"PRAGMA max_page_count = {limit}")
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


def test_a_directory_that_cannot_be_created_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    data = tmp_path / "a file" / "data"
    monkeypatch.setattr(sqlite, "DATA", data)
    with pytest.raises(StoreError, match=f"cannot create {data}: .*; create the directory, or set COMMENTS_STORE"):
        SQLiteStore(data / "comments.db")
