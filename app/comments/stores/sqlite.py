"""The embedded store: one SQLite file in WAL mode, shared by any number of processes.

Ids are assigned inside the transaction that stores the comment (see sqlite_writer.py), and each is greater than those
that its thread has or had. So ids are in commit order, whatever the system clock does, and clients that follow a thread
miss nothing.
"""

import math
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from comments.comment import ANYONE, Author, Comment, NewComment
from comments.config import DATA
from comments.errors import StoreError
from comments.ids import id_at, now
from comments.stores import sqlite_schema
from comments.stores.base import (
    CREATED,
    EDITED,
    KEY_SECONDS,
    PAGE_BYTES,
    SCAN_PAGE,
    Notification,
    Page,
    fingerprint,
    hash_of,
    scan_held,
)
from comments.stores.sqlite_rows import (
    COLUMNS,
    comment_of,
    find_replay,
    id_after,
    insert,
    is_known,
    next_id,
    remember,
    remembered_id,
    restore,
)
from comments.stores.sqlite_writer import TIMEOUT, Writer, connect, converted_errors

FAILURE_SECONDS = 60.0
"""How long `ping` reports a failed write, unless another one succeeds: on a full disk, reading still works."""

NO_FAILURE = (-math.inf, "")

NEVER = 253_402_300_799
"""When the approval of a comment and trust in its author expire: at the end of the year 9999."""

HELD = "SELECT id, content_id, email, comment, created_at, json_set(more, '$.held', json('true')) AS more FROM held"
"""Rows of pending comments, marked as such in the column `more`."""

Result = TypeVar("Result")


class SQLiteStore:
    """A CommentStore in one file."""

    overlap = 0.0
    targets: Collection[str] = ()

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """Open or create the file. Its directory must exist, except for the default one.

        With read_only, the file system may be read-only, and changes raise StoreError.
        """
        self._path = Path(path)
        self._reading = threading.Lock()
        self._failure = NO_FAILURE
        self._writer: Writer | None = None
        self._copy: TemporaryDirectory[str] | None = None
        if self._path.parent == DATA and not read_only:
            _create_directory(DATA)
        if not self._path.parent.is_dir():
            raise StoreError(f"COMMENTS_STORE: the directory {self._path.parent} does not exist; create it")
        with converted_errors("COMMENTS_STORE: cannot open", self._path):
            if read_only:
                self._read = self._open_read_only()
                sqlite_schema.check(self._read, str(self._path))
            else:
                self._writer = Writer(self._path, self._prepare)
                self._read = connect(self._path, "ro", timeout=TIMEOUT)  # read-only: it never checkpoints

    def add(self, new: NewComment, *, key: str = "", held: bool = False, by: Author = ANYONE) -> Comment:
        def change(db: sqlite3.Connection) -> Comment:
            if key and (replayed := find_replay(db, new, key, by)):
                return replayed
            comment = new.stored(id_at(now()) if held else next_id(db, new.content_id), held=held, by=by)
            insert(db, comment)
            self._notify(db, CREATED, comment["content_id"], comment["id"])
            if key:
                expires_at = int(time.time()) + KEY_SECONDS
                remember(db, hash_of(new.content_id, key), fingerprint(new, by), comment["id"], expires_at, held=held)
            return comment

        return self._change(change)

    def find_replay(self, new: NewComment, key: str, *, by: Author = ANYONE) -> Comment | None:
        with self._reader() as db:
            return find_replay(db, new, key, by)

    def get(self, content_id: int, comment_id: str) -> Comment | None:
        query = "FROM comment WHERE content_id = ? AND id = ?"
        if found := self._one(query, content_id, comment_id):
            return found
        with self._reader() as db:
            approved = remembered_id(db, "approve", content_id, comment_id)
        return self._one(query, content_id, approved) if approved else None

    def list_comments(self, content_id: int, *, after: str = "", limit: int, newest_first: bool = False) -> Page:
        query = "FROM comment WHERE content_id = ? AND id > ? ORDER BY id"
        if newest_first:
            query, after = "FROM comment WHERE content_id = ? AND id < ? ORDER BY id DESC", after or "~"
        return self._page(query, (content_id, after), limit=limit)

    def list_held(self, *, after: str = "", limit: int) -> Page:
        return self._page(f"FROM ({HELD}) WHERE id > ? ORDER BY id", (after,), limit=limit)

    def list_recent(self, *, after: str = "", limit: int) -> Page:
        query = f"FROM comment WHERE id < ? UNION ALL {HELD} WHERE id < ? ORDER BY id DESC"
        return self._page(query, (after or "~",) * 2, limit=limit)

    def count(self, content_ids: Collection[int]) -> dict[int, int]:
        query = "SELECT count(*) FROM comment WHERE content_id = ?"
        with self._reader() as db:
            return {content_id: db.execute(query, (content_id,)).fetchone()[0] for content_id in {*content_ids}}

    def approve(self, content_id: int, comment_id: str) -> Comment | None:
        def change(db: sqlite3.Connection) -> str | None:
            row = db.execute(
                f"DELETE FROM held WHERE content_id = ? AND id = ? RETURNING {COLUMNS}",  # noqa: S608  # a constant
                (content_id, comment_id),
            ).fetchone()
            if row is None:
                return remembered_id(db, "approve", content_id, comment_id)
            new_id = next_id(db, content_id)
            comment = comment_of(row) | {"id": new_id}
            insert(db, comment)
            remember(db, hash_of("approve", content_id, comment_id), "", new_id, NEVER, held=False)
            if author := comment.get("author"):
                remember(db, hash_of("trust", author), "", new_id, NEVER, held=False)
            return new_id

        published = self._change(change)
        return self.get(content_id, published) if published else None

    def find(self, content_id: int, comment_id: str) -> Comment | None:
        held = self._one(f"FROM ({HELD}) WHERE content_id = ? AND id = ?", content_id, comment_id)
        return held or self.get(content_id, comment_id)

    def edit(self, content_id: int, comment_id: str, text: str, edited_at: str) -> Comment | None:
        def change(db: sqlite3.Connection) -> bool:
            for table in ("held", "comment"):
                changed = db.execute(
                    f"UPDATE {table} SET comment = ?, more = json_set(more, '$.edited_at', ?)"  # noqa: S608  # a constant
                    " WHERE content_id = ? AND id = ?",
                    (text, edited_at, content_id, comment_id),
                ).rowcount
                if changed:
                    self._notify(db, EDITED, content_id, comment_id)
                    return True
            return False

        return self.find(content_id, comment_id) if self._change(change) else None

    def move(self, content_id: int, target: int, page: str) -> int:
        def change(db: sqlite3.Connection) -> int:
            waiting = db.execute(
                "SELECT DISTINCT comment_id FROM outbox WHERE content_id = ?", (content_id,)
            ).fetchall()
            for (old,) in waiting:
                new = remembered_id(db, "approve", content_id, old) or old  # the other thread knows no former ids
                changed = "UPDATE outbox SET content_id = ?, comment_id = ? WHERE content_id = ? AND comment_id = ?"
                db.execute(changed, (target, new, content_id, old))
            return sum(
                db.execute(
                    f"UPDATE OR REPLACE {table} SET content_id = ?, more = json_patch(more, json_object('page', ?))"  # noqa: S608  # a constant
                    " WHERE content_id = ?",
                    (target, page or None, content_id),
                ).rowcount
                for table in ("held", "comment")
            )

        return self._change(change)

    def delete(self, content_id: int, comment_id: str, *, distrust: bool = False) -> bool:
        def change(db: sqlite3.Connection) -> bool:
            deleted = [
                author
                for table in ("held", "comment")
                for (author,) in db.execute(
                    f"DELETE FROM {table} WHERE content_id = ? AND id = ? RETURNING json_extract(more, '$.author')",  # noqa: S608  # a constant
                    (content_id, comment_id),
                ).fetchall()
            ]
            for author in filter(None, deleted if distrust else ()):
                db.execute("DELETE FROM idempotency_key WHERE key = ?", (hash_of("trust", author),))
            return bool(deleted)

        return self._change(change)

    def purge(self) -> None:
        if self._writer:
            with converted_errors("purging", self._path):
                self._writer.vacuum()

    def is_trusted(self, author: str) -> bool:
        with self._reader() as db:
            return remembered_id(db, "trust", author) is not None

    def scan(self) -> Iterator[Comment]:
        yield from scan_held(self)
        query, last, more = "FROM comment WHERE (content_id, id) > (?, ?) ORDER BY content_id, id", (0, ""), True
        while more:
            page = self._page(query, last, limit=SCAN_PAGE)
            yield from page.comments
            more = page.more
            last = (page.comments[-1]["content_id"], page.comments[-1]["id"]) if more else last

    def restore(self, comments: Sequence[Comment], *, dry_run: bool = False) -> int:
        if dry_run:
            with self._reader() as db:
                return sum(not is_known(db, comment) for comment in comments)
        return self._change(lambda db: sum(restore(db, comment) for comment in comments))

    def list_outbox(self, target: str, *, limit: int) -> list[Notification]:
        query = "SELECT id, event, content_id, comment_id FROM outbox WHERE target = ? ORDER BY id LIMIT ?"
        with self._reader() as db:
            return [Notification(*row) for row in db.execute(query, (target, limit))]

    def remove_from_outbox(self, target: str, notification_id: str) -> None:
        delete = "DELETE FROM outbox WHERE target = ? AND id = ?"
        self._change(lambda db: db.execute(delete, (target, notification_id)).rowcount)

    def replace_lease(self, old: str, new: str) -> str:
        def change(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO lease VALUES ('outbox', '')")
            db.execute("UPDATE lease SET value = ? WHERE value = ?", (new, old))
            value: str = db.execute("SELECT value FROM lease").fetchone()[0]
            return value

        return self._change(change)

    def rebuild(self) -> int:
        """Only count: SQLite maintains its index, and counts rows."""
        with self._reader() as db:
            total: int = db.execute("SELECT count(*) FROM comment").fetchone()[0]
        return total

    def ping(self) -> None:
        if self._writer:
            self._writer.require_same_file()
        self._page("FROM comment WHERE content_id = ?", (0,), limit=1)
        failed_at, reason = self._failure
        if time.monotonic() - failed_at < FAILURE_SECONDS:
            raise StoreError("the last write failed", reason=reason)

    def close(self) -> None:
        """Commit the queued changes, then close the file."""
        self._read.close()
        if self._writer:
            self._writer.close()
        if self._copy:
            self._copy.cleanup()

    def _notify(self, db: sqlite3.Connection, event: str, content_id: int, comment_id: str) -> None:
        for target in self.targets:
            newest = db.execute("SELECT max(id) FROM outbox WHERE target = ?", (target,)).fetchone()[0]
            db.execute(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?)", (target, id_after(newest), event, content_id, comment_id)
            )

    def _prepare(self, db: sqlite3.Connection) -> None:
        sqlite_schema.check(db, str(self._path))
        sqlite_schema.create(db)

    def _open_read_only(self) -> sqlite3.Connection:
        """Open the file for reading. On a read-only file system, where SQLite cannot create the index of the file's log
        (-shm), open it without its log, or a copy if the log is not empty."""
        connection = connect(self._path, "ro", timeout=TIMEOUT)
        try:
            connection.execute("SELECT name FROM sqlite_schema")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_CANTOPEN or not self._path.is_file():
                raise
        else:
            return connection
        log = self._path.with_name(f"{self._path.name}-wal")
        if not log.exists() or not log.stat().st_size:
            return connect(self._path, "ro&immutable=1", timeout=TIMEOUT)
        self._copy = TemporaryDirectory()
        for file in (self._path, log):
            shutil.copy(file, self._copy.name)
        return connect(Path(self._copy.name, self._path.name), "ro", timeout=TIMEOUT)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with converted_errors("reading", self._path), self._reading:
            yield self._read

    def _one(self, query: str, *parameters: Any) -> Comment | None:
        return next(iter(self._page(query, parameters, limit=1).comments), None)

    def _page(self, query: str, parameters: tuple[Any, ...], *, limit: int) -> Page:
        """Read up to `limit` comments or about PAGE_BYTES."""
        comments: list[Comment] = []
        size = 0
        with self._reader() as db:
            for row in db.execute(f"SELECT {COLUMNS} {query} LIMIT ?", (*parameters, limit + 1)):
                if len(comments) == limit or size > PAGE_BYTES:
                    return Page(comments, more=True)
                comments.append(comment_of(row))
                size += len(row[3].encode()) + len(row[5])
        return Page(comments, more=False)

    def _change(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Apply a change, and wait until it is on disk."""
        if self._writer is None:
            raise StoreError(f"{self._path} is open for reading only", reason="ReadOnly")
        try:
            result = self._writer.run(change)
        except StoreError as error:
            self._failure = time.monotonic(), error.reason
            raise
        self._failure = NO_FAILURE
        return result


def _create_directory(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        remedy = "create the directory, or set COMMENTS_STORE to a file in another one"
        raise StoreError(f"COMMENTS_STORE: cannot create {path}: {error.strerror}; {remedy}") from error
