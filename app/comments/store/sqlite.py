"""The embedded store: one SQLite file, durable before the answer, shared by any number of processes."""

import sqlite3
import threading
from pathlib import Path

from comments.errors import StoreError
from comments.models import Comment, NewComment
from comments.settings import DATA
from comments.store import PAGE_BYTES, Page
from comments.store.sqlite_writer import Writer, connect

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE comment (
    content_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    comment TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (content_id, id)
) WITHOUT ROWID, STRICT
"""
LIST = """
SELECT id, content_id, email, comment, created_at FROM comment
WHERE content_id = ? AND id > ? ORDER BY id LIMIT ?
"""


class SQLiteStore:
    """A CommentStore. Reads run on a connection per thread; writes wait for the process's one writer."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._local = threading.local()

    @classmethod
    def open(cls, path: Path | str) -> "SQLiteStore":
        """Open or create the file; its folder must exist, except the default one, which is made."""
        path = Path(path)
        if path.parent == DATA:
            DATA.mkdir(exist_ok=True)
        if not path.parent.is_dir():
            raise StoreError(f"COMMENTS_STORE: the folder {path.parent} does not exist; make it, or name another")
        try:
            writer = Writer(path)
            with writer.transaction() as connection:
                _migrate(connection, path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"COMMENTS_STORE: {path} cannot be opened: {error}") from error
        return cls(path, writer)

    def add(self, new: NewComment) -> Comment:
        return self._writer.add(new)

    def list_page(self, content_id: int, *, after: str | None, limit: int) -> Page:
        comments: list[Comment] = []
        size = 0
        try:
            for row in self._reader().execute(LIST, (content_id, after or "", limit + 1)):
                if len(comments) == limit or size > PAGE_BYTES:
                    return Page(comments, more=True)
                comments.append(
                    {"id": row[0], "content_id": row[1], "email": row[2], "comment": row[3], "created_at": row[4]}
                )
                size += len(row[3])
        except sqlite3.Error as error:
            raise StoreError(f"reading {self._path}: {error}") from error
        return Page(comments, more=False)

    def close(self) -> None:
        self._writer.close()

    def _reader(self) -> sqlite3.Connection:
        """Return this thread's connection, which cannot write and so never checkpoints outside the writer's lock."""
        try:
            reader: sqlite3.Connection = self._local.reader
        except AttributeError:
            reader = self._local.reader = connect(self._path, mode="ro")
        return reader


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StoreError(f"COMMENTS_STORE: {path} was written by a newer version of this service; run that one")
    if version == 0:
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
