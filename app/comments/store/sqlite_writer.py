"""The one thread of a process that writes to SQLite, committing all that waits in one transaction.

A commit costs a flush of the disk, so eight requests that share one are several times faster than eight that take
turns. Between processes a lock on a file beside the database takes turns: SQLite's own retries let one process starve
the others, and before 3.51.3 a checkpoint that races with a writer can damage the file.
"""

import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from comments.errors import StoreError
from comments.ids import Clock, created_at, id_at, tick_of
from comments.models import Comment, NewComment

BATCH = 256
"""Comments in one transaction at the most, which bounds what a crash in the middle can delay."""

BUSY_TIMEOUT = 5.0
"""Seconds that SQLite waits for a lock that another program, such as a backup, holds."""

WRITE_TIMEOUT = 10.0
"""Seconds that a request waits for its commit before it answers that the store is not available."""


def connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open the file, mode `rwc` or `ro`; transactions are begun by hand, commits are flushed to the disk."""
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous = FULL")
    return connection


class _Waiting(NamedTuple):
    new: NewComment
    done: "Future[Comment]"


class Writer:
    """Adds comments; its thread starts with the first one, so that it belongs to the process that serves."""

    def __init__(self, path: Path) -> None:
        self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._clock = Clock()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._path = path
        self._connection = connect(path, mode="rwc")
        with self._turn():
            self._connection.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock between processes; the kernel lets go of it when a process dies."""
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self._turn():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def add(self, new: NewComment) -> Comment:
        """Wait until the comment is on the disk; raises StoreError."""
        self._start()
        waiting = _Waiting(new, Future())
        self._queue.put(waiting)
        try:
            return waiting.done.result(WRITE_TIMEOUT)
        except TimeoutError:
            raise StoreError(f"writing {self._path}: not committed within {WRITE_TIMEOUT:.0f} s") from None
        except sqlite3.Error as error:
            raise StoreError(f"writing {self._path}: {error}") from error

    def close(self) -> None:
        """Commit what waits, then let go of the file."""
        if self._thread:
            self._queue.put(None)
            self._thread.join()
        with self._turn():
            self._connection.close()
        os.close(self._lock_file)

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            closing = False
            while len(batch) < BATCH and not self._queue.empty() and not closing:
                following = self._queue.get()
                closing = following is None
                batch += [following] if following else []
            self._commit(batch)
            if closing:
                return

    def _commit(self, batch: list[_Waiting]) -> None:
        """Store a batch at once; if that fails, each comment on its own, so that one cannot take others with it."""
        try:
            with self.transaction() as connection:
                stored = [self._insert(connection, waiting.new) for waiting in batch]
        except sqlite3.Error as error:
            if len(batch) == 1:
                batch[0].done.set_exception(error)
            else:
                for waiting in batch:
                    self._commit([waiting])
        else:
            for waiting, comment in zip(batch, stored, strict=True):
                waiting.done.set_result(comment)

    def _insert(self, connection: sqlite3.Connection, new: NewComment) -> Comment:
        """Give the comment its id inside the transaction, above the thread's last: ids are in the order of commits."""
        (last,) = connection.execute("SELECT max(id) FROM comment WHERE content_id = ?", (new.content_id,)).fetchone()
        tick = self._clock.tick(after=tick_of(last) if last else 0)
        comment: Comment = {
            "id": id_at(tick),
            "content_id": new.content_id,
            "email": new.email,
            "comment": new.comment,
            "created_at": created_at(tick),
        }
        connection.execute("INSERT INTO comment VALUES (:content_id, :id, :email, :comment, :created_at)", comment)
        return comment
