"""The one thread of a process that writes to SQLite, committing all that waits in one transaction.

A commit costs a flush of the disk, so requests that share one are several times faster than requests that take
turns. Between processes a lock on a file beside the database takes turns: SQLite's own retries let one process starve
the others, and before 3.51.3 a checkpoint that races with a writer can damage the file.
"""

import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from comments.errors import ServiceError, StoreError
from comments.store.sqlite_errors import FAILURES, store_error

BATCH = 256
"""Changes in one transaction at the most, which bounds what a crash in the middle can delay."""

READ_CACHE = 128
"""KB of pages that a thread's connection keeps; SQLite's 2 MB each would be a third of a task, and no faster."""

CHECKPOINT = 250
"""Pages of changes that are then moved into the database, while posts wait: a third as long as for SQLite's 1,000."""

BUSY_TIMEOUT = 5.0
"""Seconds that SQLite waits for a lock that another program, such as a backup, holds."""

WRITE_TIMEOUT = 5.0
"""Seconds that a request waits for its commit before it answers that the store is not available."""

STALLED = 2.0
"""Seconds after which a commit is no longer waited for by others: their threads are left to readers."""


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
    if mode == "ro":
        connection.execute(f"PRAGMA cache_size = -{READ_CACHE}")
    return connection


Result = TypeVar("Result")


class _Waiting:
    """A change, and what came of it for the thread that waits; a Future would cost three times as much."""

    def __init__(self, change: Callable[[sqlite3.Connection], Any]) -> None:
        self.change = change
        self.outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.is_given_up = False


class Writer:
    """Makes changes; its thread starts with the first one, so that it belongs to the process that serves."""

    def __init__(self, path: Path) -> None:
        self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._since: float | None = None
        self._path = path
        self._connection = connect(path, mode="rwc")
        with self._turn():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")

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

    def run(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Wait until a change is on the disk and return its result; raises StoreError, or what the change raised.

        A change may raise a ServiceError before it has written anything: the changes beside it are kept.
        """
        since = self._since
        if since is not None and time.monotonic() - since > STALLED:
            raise StoreError(f"writing {self._path}: the commit before takes more than {STALLED:.0f} s")
        self._start()
        waiting = _Waiting(change)
        self._queue.put(waiting)
        try:
            outcome = waiting.outcome.get(timeout=WRITE_TIMEOUT)
        except queue.Empty:
            waiting.is_given_up = True  # if it has not begun, it is not made later either
            raise StoreError(f"writing {self._path}: not committed within {WRITE_TIMEOUT:.0f} s") from None
        if isinstance(outcome, FAILURES):
            raise store_error("writing {path}", self._path, outcome) from outcome
        if isinstance(outcome, Exception):
            raise outcome
        result: Result = outcome
        return result

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
            self._since = time.monotonic()
            self._commit(batch)
            self._since = None
            if closing:
                return

    def _commit(self, batch: list[_Waiting]) -> None:
        """Make the changes of a batch at once; if that fails, each on its own, so that one cannot take others along."""
        outcomes: list[tuple[_Waiting, Any]] = []
        try:
            with self.transaction() as connection:
                for waiting in batch:
                    if waiting.is_given_up:
                        continue
                    try:
                        outcomes.append((waiting, waiting.change(connection)))
                    except ServiceError as refusal:
                        outcomes.append((waiting, refusal))
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the request; this thread serves the next
            if len(batch) > 1:
                for waiting in batch:
                    self._commit([waiting])
            else:
                batch[0].outcome.put(error)
            return
        for waiting, outcome in outcomes:
            waiting.outcome.put(outcome)
