"""The writer of a SQLite file: one thread per process, which commits all waiting changes in one transaction.

Every commit flushes the disk, so sharing a commit makes requests several times faster. Between processes, a lock on a
file beside the database serializes writes and checkpoints. SQLite's own retries would let one process starve the
others, and before 3.51.3 a checkpoint that races with a writer can corrupt the file.

Under gunicorn, threads are greenlets: a call that waits for the disk or for another process would stop them all, so it
runs in gevent's pool of OS threads. Reads continue while a commit waits for the disk, however long that takes.
"""

import errno
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import gevent
from gevent.monkey import is_module_patched
from gevent.util import wrap_errors

from comments.errors import ServiceError, StoreError

BATCH = 256
"""Maximum number of changes in one transaction."""

CHECKPOINT_PAGES = 250
"""WAL pages that trigger a checkpoint. Writes wait for it: a quarter of SQLite's default shortens the wait."""

TIMEOUT = 5.0
"""Seconds to wait for a commit to start, and for a lock that another program holds."""

PERMISSIONS = "make the file and its directory writable for the service's user, or set COMMENTS_STORE to another file"
REMEDIES = {
    sqlite3.SQLITE_FULL: "free some disk space; the service recovers without a restart",
    sqlite3.SQLITE_READONLY: PERMISSIONS,
    sqlite3.SQLITE_CANTOPEN: PERMISSIONS,
    sqlite3.SQLITE_IOERR: "check the disk: it may be full, failing or over quota",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop the service, copy the file, then restore a backup or use"
    " `sqlite3 FILE .recover`",
    sqlite3.SQLITE_NOTADB: "the file is not a database: restore a backup, or set COMMENTS_STORE to another file",
    sqlite3.SQLITE_BUSY: "stop the other program that locks the database",
}

Result = TypeVar("Result")
Job = tuple[Callable[[sqlite3.Connection], Any], Future[Any]]


class Writer:
    """Applies changes to the file, which it creates if it does not exist."""

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """`prepare` checks the file, and creates what is missing, in the first transaction. If it raises, the file is
        unchanged. Raises OSError, sqlite3.Error, and what `prepare` raises."""
        self._path = path
        self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))  # it contains email addresses
            # SQLite would wait for locks of other programs with all greenlets blocked; _transaction does not.
            self._connection = connect(path, "rwc", timeout=0)
            with self._locked():
                with self._transaction() as db:
                    prepare(db)
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")  # a commit returns once it is on disk
                self._connection.execute("PRAGMA secure_delete = ON")  # overwrite what was deleted
                self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._file = path.stat()
        except BaseException:
            if connection := getattr(self, "_connection", None):
                connection.close()
            os.close(self._lock_file)
            raise
        self._closing = False
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_queued, name="sqlite-writer", daemon=True)
        self._thread.start()

    def run(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Queue a change and wait until it is on disk. Raises what the change raised."""
        outcome: Future[Result] = Future()
        self._queue.put((change, outcome))
        with converted_errors("writing", self._path):
            with suppress(TimeoutError):
                return outcome.result(TIMEOUT)
            if outcome.cancel():  # the writer waits for another process, and will not apply the change later
                raise StoreError(f"writing {self._path}: not committed within {TIMEOUT:.0f} s", reason="Timeout")
            return outcome.result()

    def vacuum(self) -> None:
        """Rebuild the file, and empty its log: `secure_delete` misses copies of rows that moved to other pages."""
        with self._locked():
            self._connection.execute(f"PRAGMA busy_timeout = {TIMEOUT * 1000:.0f}")  # for reads of other processes
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Commit the queued changes, then close the file."""
        self._closing = True
        self._queue.put((lambda _: None, Future()))  # wakes the writer
        self._thread.join()
        with self._locked():
            self._connection.close()  # the last connection to the file checkpoints
        os.close(self._lock_file)

    def require_same_file(self) -> None:
        """Raise StoreError if the file was moved, deleted or replaced: what is written to it now would be lost."""
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), self._file):
                return
        moved = "the file was moved, deleted or replaced; restart the service to use the one with this name"
        raise StoreError(f"{self._path}: {moved}", reason="FileReplaced")

    def _write_queued(self) -> None:
        while not (self._closing and self._queue.empty()):
            batch = [self._queue.get()]
            try:
                with self._locked():
                    self.require_same_file()
                    while len(batch) < BATCH and not self._queue.empty():
                        batch.append(self._queue.get())
                    # From here on, requests can no longer cancel their changes.
                    self._commit([job for job in batch if job[1].set_running_or_notify_cancel()])
            except (OSError, StoreError) as error:  # flock failed, or the file is gone
                for _, outcome in batch:
                    if outcome.set_running_or_notify_cancel():
                        outcome.set_exception(error)

    def _commit(self, batch: Sequence[Job]) -> None:
        """Apply changes in one transaction. If it fails, apply each separately, so that one can't fail the others."""
        results: list[tuple[Callable[[Any], None], Any]] = []
        try:
            with self._transaction() as db:
                for change, outcome in batch:
                    try:
                        results.append((outcome.set_result, change(db)))
                    except ServiceError as refused:  # raised before the change wrote anything
                        results.append((outcome.set_exception, refused))
        except Exception as error:  # noqa: BLE001  # each request raises it; the writer continues
            is_busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY  # separate ones would fail too
            if len(batch) > 1 and not is_busy:
                for job in batch:
                    self._commit([job])
                return
            results = [(outcome.set_exception, error) for _, outcome in batch]
        for report, result in results:
            report(result)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit, or roll back if there is an exception. The caller holds the lock."""
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.02)  # a program without our lock is writing, such as the sqlite3 shell
        try:
            yield self._connection
            _in_os_thread(self._connection.execute, "COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the inter-process lock. The kernel releases it if the process dies."""
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process is writing
            _in_os_thread(fcntl.flock, self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)


def _in_os_thread(call: Callable[..., Any], *arguments: Any) -> None:
    """Call a function that may block without blocking other requests. It raises only OSError and sqlite3.Error."""
    if not is_module_patched("threading"):  # in tests and on the command line, the writer is an OS thread
        call(*arguments)
        return
    # An exception that leaves the pool's thread would also be printed.
    result = gevent.get_hub().threadpool.apply(wrap_errors((OSError, sqlite3.Error), call), arguments)
    if isinstance(result, Exception):
        raise result


@contextmanager
def converted_errors(doing: str, path: Path) -> Iterator[None]:
    """Convert SQLite and file system errors to StoreError, with a remedy if one is known."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, OSError):
            forbidden = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
            code = sqlite3.SQLITE_READONLY if forbidden else sqlite3.SQLITE_IOERR
        else:  # errors of Python's module have no code; invalid UTF-8 is one of them
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT if "decode" in str(error) else 0)
        remedy = REMEDIES.get(code & 0xFF)  # the low byte is SQLite's primary result code
        message = f"{doing} {path}: {error}" + (f"; {remedy}" if remedy else "")
        raise StoreError(message, reason=type(error).__name__) from error


def connect(path: Path, mode: str, *, timeout: float) -> sqlite3.Connection:
    """Open the file; transactions begin explicitly. `mode` is SQLite's ro or rwc, with other parameters of the URI."""
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
