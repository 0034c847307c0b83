"""The embedded store: one SQLite file in WAL mode, shared by any number of processes.

Each process has one writer thread, which commits all queued changes in one transaction: every commit flushes the disk,
so sharing a commit makes requests several times faster. Between processes, a lock on a file beside the database
serializes writes and checkpoints. SQLite's own retries would let one process starve the others, and before 3.51.3 a
checkpoint that races with a writer can corrupt the file. Ids are assigned inside the transaction, so they are in commit
order and clients that follow a thread miss nothing.
"""

import errno
import fcntl
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import gevent

from comments.config import DATA
from comments.errors import KeyReused, ServiceError, StoreError
from comments.ids import Clock, id_at, tick_of
from comments.schemas import Comment, NewComment
from comments.stores import KEY_SECONDS, PAGE_BYTES, SCAN_PAGE, Page, fingerprint, hash_of, scan_held

BATCH = 256
"""Maximum number of changes in one transaction."""

CHECKPOINT_PAGES = 250
"""WAL pages that trigger a checkpoint. Writes wait for it: a quarter of SQLite's default shortens the wait."""

TIMEOUT = 5.0
"""Seconds to wait for a commit to start, and for a lock that another program holds."""

FAILURE_SECONDS = 60.0
"""How long `ping` reports a failed write, unless another one succeeds: on a full disk, reading still works."""

NO_FAILURE = (-math.inf, "")

COLUMNS = "id, content_id, email, comment, created_at"
TABLE = """(
    content_id INTEGER NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, comment TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY ({key})
) WITHOUT ROWID, STRICT"""
SCHEMA_VERSION = 2
SCHEMA = (
    f"CREATE TABLE comment {TABLE.format(key='content_id, id')}",
    f"CREATE TABLE held {TABLE.format(key='id')}",
    """CREATE TABLE idempotency_key (key TEXT NOT NULL PRIMARY KEY, fingerprint TEXT NOT NULL,
        id TEXT NOT NULL, held INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID, STRICT""",
    "CREATE INDEX idempotency_key_expires_at ON idempotency_key (expires_at)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

PERMISSIONS = "make the file and its directory writable for the service's user"
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


class SQLiteStore:
    """A CommentStore in one file."""

    overlap = 0.0

    def __init__(self, path: Path | str) -> None:
        """Open or create the file. Its directory must exist, except for the default one."""
        self._path = Path(path)
        self._clock = Clock()
        self._ahead: dict[int | str, int] = {}
        """The latest ticks of threads, and of the held comments, that are ahead of the clock."""
        self._reading = threading.Lock()
        if self._path.parent == DATA:
            DATA.mkdir(exist_ok=True)
        if not self._path.parent.is_dir():
            raise StoreError(f"COMMENTS_STORE: the directory {self._path.parent} does not exist; create it")
        with self._errors("COMMENTS_STORE: cannot open"), ExitStack() as opened:
            self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            opened.callback(os.close, self._lock_file)
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))  # it contains email addresses
            # SQLite would wait for locks of other programs with all greenlets blocked; _transaction does not.
            self._write = opened.enter_context(closing(_connect(self._path, "rwc", timeout=0)))
            with self._locked():
                self._write.execute("PRAGMA journal_mode = WAL")
                self._write.execute("PRAGMA synchronous = FULL")  # a commit returns once it is on disk
                self._write.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
                with self._transaction() as db:
                    version = db.execute("PRAGMA user_version").fetchone()[0]
                    if version > SCHEMA_VERSION:
                        newer = "was written by a newer version of this service; run that version"
                        raise StoreError(f"COMMENTS_STORE: {path} {newer}")
                    for statement in SCHEMA if version < SCHEMA_VERSION else ():
                        db.execute(statement)
            self._file = self._path.stat()
            self._read = _connect(self._path, "ro", timeout=TIMEOUT)  # read-only: it never checkpoints
            opened.pop_all()
        self._failure = NO_FAILURE
        self._closing = False
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_queued, name="sqlite-writer", daemon=True)
        self._writer.start()

    def add(self, new: NewComment, *, key: str = "", held: bool = False) -> Comment:
        def change(db: sqlite3.Connection) -> Comment:
            if key:
                scoped, content = hash_of(new.content_id, key), fingerprint(new)
                seen = db.execute(
                    "SELECT key, fingerprint, id, held FROM idempotency_key WHERE key IN (?, ?) AND expires_at > ?",
                    (scoped, hash_of(key), int(time.time())),
                )
                for hashed, earlier, comment_id, was_held in seen:
                    if earlier == content:
                        return new.stored(comment_id, held=bool(was_held))
                    if hashed == scoped:
                        raise KeyReused
            comment = new.stored(self._next_id(db, new.content_id, held=held), held=held)
            _insert(db, comment)
            if key:
                _remember(db, scoped, content, comment["id"], held=held)
            return comment

        return self._run(change)

    def get(self, content_id: int, comment_id: str) -> Comment | None:
        found = self._page("FROM comment WHERE content_id = ? AND id = ?", (content_id, comment_id), limit=1).comments
        return found[0] if found else None

    def list_comments(self, content_id: int, *, after: str = "", limit: int, newest_first: bool = False) -> Page:
        query = "FROM comment WHERE content_id = ? AND id > ? ORDER BY id"
        if newest_first:
            query, after = "FROM comment WHERE content_id = ? AND id < ? ORDER BY id DESC", after or "~"
        return self._page(query, (content_id, after), limit=limit)

    def list_held(self, *, after: str = "", limit: int) -> Page:
        page = self._page("FROM held WHERE id > ? ORDER BY id", (after,), limit=limit)
        for comment in page.comments:
            comment["held"] = True
        return page

    def approve(self, content_id: int, comment_id: str) -> Comment | None:
        def change(db: sqlite3.Connection) -> str | None:
            hashed = hash_of("approve", content_id, comment_id)
            row = db.execute(
                "DELETE FROM held WHERE content_id = ? AND id = ? RETURNING email, comment, created_at",
                (content_id, comment_id),
            ).fetchone()
            if row is None:
                approved = db.execute("SELECT id FROM idempotency_key WHERE key = ?", (hashed,)).fetchone()
                return approved[0] if approved else None
            email, text, at = row
            new_id = self._next_id(db, content_id)
            _insert(db, {"id": new_id, "content_id": content_id, "email": email, "comment": text, "created_at": at})
            _remember(db, hashed, "", new_id, held=False)
            return new_id

        published = self._run(change)
        return self.get(content_id, published) if published else None

    def delete(self, content_id: int, comment_id: str) -> bool:
        def change(db: sqlite3.Connection) -> bool:
            which = (content_id, comment_id)
            held = db.execute("DELETE FROM held WHERE content_id = ? AND id = ?", which).rowcount
            published = db.execute("DELETE FROM comment WHERE content_id = ? AND id = ?", which).rowcount
            return held + published > 0

        return self._run(change)

    def scan(self) -> Iterator[Comment]:
        yield from scan_held(self)
        query, last, more = "FROM comment WHERE (content_id, id) > (?, ?) ORDER BY content_id, id", (0, ""), True
        while more:
            page = self._page(query, last, limit=SCAN_PAGE)
            yield from page.comments
            more = page.more
            last = (page.comments[-1]["content_id"], page.comments[-1]["id"]) if more else last

    def restore(self, comments: Sequence[Comment]) -> int:
        return self._run(lambda db: sum(_restore(db, comment) for comment in comments))

    def ping(self) -> None:
        self._require_same_file()
        self._page("FROM comment WHERE content_id = ?", (0,), limit=1)
        failed_at, reason = self._failure
        if time.monotonic() - failed_at < FAILURE_SECONDS:
            raise StoreError("the last write failed", reason=reason)

    def close(self) -> None:
        """Commit the queued changes, then close the file."""
        self._closing = True
        self._queue.put((lambda _: None, Future()))  # wakes the writer
        self._writer.join()
        self._read.close()
        with self._locked():
            self._write.close()  # the last connection to the file checkpoints
        os.close(self._lock_file)

    def _page(self, query: str, parameters: tuple[Any, ...], *, limit: int) -> Page:
        """Read up to `limit` comments or about PAGE_BYTES."""
        comments: list[Comment] = []
        size = 0
        with self._errors("reading"), self._reading:
            for row in self._read.execute(f"SELECT {COLUMNS} {query} LIMIT ?", (*parameters, limit + 1)):
                if len(comments) == limit or size > PAGE_BYTES:
                    return Page(comments, more=True)
                id_, thread, email, text, at = row
                comments.append({"id": id_, "content_id": thread, "email": email, "comment": text, "created_at": at})
                size += len(email.encode()) + len(text.encode())
        return Page(comments, more=False)

    def _run(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Queue a change and wait until it is on disk. Raises what the change raised."""
        try:
            result = self._wait_for(change)
        except StoreError as error:
            self._failure = time.monotonic(), error.reason
            raise
        self._failure = NO_FAILURE
        return result

    def _wait_for(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        outcome: Future[Result] = Future()
        self._queue.put((change, outcome))
        with self._errors("writing"):
            with suppress(TimeoutError):
                return outcome.result(TIMEOUT)
            if outcome.cancel():  # the writer waits for another process, and will not apply the change later
                raise StoreError(f"writing {self._path}: not committed within {TIMEOUT:.0f} s", reason="Timeout")
            return outcome.result()

    def _next_id(self, db: sqlite3.Connection, content_id: int, *, held: bool = False) -> str:
        """Return an id after the newest comment of the thread, or after the newest held one; any process wrote it."""
        query = "SELECT max(id) FROM held" if held else "SELECT max(id) FROM comment WHERE content_id = :content_id"
        newest = db.execute(query, {"content_id": content_id}).fetchone()[0]
        key = "held" if held else content_id
        tick, latest = self._clock.tick(), max(tick_of(newest) if newest else 0, self._ahead.get(key, 0))
        if tick <= latest:  # written while the system clock was wrong; remembered in case that comment is deleted
            tick = self._ahead[key] = latest + 1
        return id_at(tick)

    def _write_queued(self) -> None:
        while not (self._closing and self._queue.empty()):
            batch = [self._queue.get()]
            try:
                with self._locked():
                    self._require_same_file()
                    while len(batch) < BATCH and not self._queue.empty():
                        batch.append(self._queue.get())
                    # From here on, requests can no longer cancel their changes.
                    self._commit([job for job in batch if job[1].set_running_or_notify_cancel()])
            except (OSError, StoreError) as error:  # flock failed, or the file is gone
                for _, outcome in batch:
                    if outcome.set_running_or_notify_cancel():
                        outcome.set_exception(error)

    def _require_same_file(self) -> None:
        """Raise StoreError if the file was moved, deleted or replaced: what is written to it now would be lost."""
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), self._file):
                return
        moved = "the file was moved, deleted or replaced; restart the service to use the one with this name"
        raise StoreError(f"{self._path}: {moved}", reason="FileReplaced")

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
                self._write.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.02)  # a program without our lock is writing, such as the sqlite3 shell
        try:
            yield self._write
            self._write.execute("COMMIT")
        finally:
            if self._write.in_transaction:
                self._write.execute("ROLLBACK")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the inter-process lock. The kernel releases it if the process dies."""
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another process is writing. Wait in an OS thread, since flock would block all greenlets of this one.
            gevent.get_hub().threadpool.apply(fcntl.flock, (self._lock_file, fcntl.LOCK_EX))
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
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
            message = f"{doing} {self._path}: {error}" + (f"; {remedy}" if remedy else "")
            raise StoreError(message, reason=type(error).__name__) from error


def _connect(path: Path, mode: str, *, timeout: float) -> sqlite3.Connection:
    """Open the file; transactions begin explicitly."""
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)


def _insert(db: sqlite3.Connection, comment: Comment) -> None:
    table = "held" if comment.get("held") else "comment"
    values = ":id, :content_id, :email, :comment, :created_at"
    db.execute(f"INSERT INTO {table} ({COLUMNS}) VALUES ({values})", comment)  # noqa: S608  # only constants are interpolated


def _remember(db: sqlite3.Connection, hashed: str, content: str, comment_id: str, *, held: bool) -> None:
    """Remember a key, and delete up to ten expired ones: this keeps the table small without a slow request."""
    now = int(time.time())
    expired = "SELECT key FROM idempotency_key WHERE expires_at <= ? LIMIT 10"
    db.execute(f"DELETE FROM idempotency_key WHERE key IN ({expired})", (now,))  # noqa: S608  # only a constant is interpolated
    db.execute(
        "INSERT OR REPLACE INTO idempotency_key (key, fingerprint, id, held, expires_at) VALUES (?, ?, ?, ?, ?)",
        (hashed, content, comment_id, held, now + KEY_SECONDS),
    )


def _restore(db: sqlite3.Connection, comment: Comment) -> int:
    table, other = ("held", "comment") if comment.get("held") else ("comment", "held")
    return db.execute(
        f"INSERT OR IGNORE INTO {table} ({COLUMNS}) SELECT :id, :content_id, :email, :comment, :created_at"  # noqa: S608  # only constants are interpolated
        f" WHERE NOT EXISTS (SELECT 1 FROM {other} WHERE content_id = :content_id AND id = :id)",
        comment,
    ).rowcount
