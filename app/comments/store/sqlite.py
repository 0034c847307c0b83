"""The embedded store: one SQLite file, durable before the answer, shared by any number of processes."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comments.errors import StoreError
from comments.ids import Clock
from comments.models import Comment, NewComment
from comments.settings import DATA
from comments.store import PAGE_BYTES, Page, Scanned, sqlite_changes
from comments.store.sqlite_errors import FAILURES, store_error
from comments.store.sqlite_schema import migrate
from comments.store.sqlite_writer import Writer, connect

LIST = """
SELECT id, content_id, email, comment, created_at FROM comment
WHERE content_id = ? AND id > ? ORDER BY id LIMIT ?
"""
HELD = "SELECT id, content_id, email, comment, created_at FROM held WHERE id > ? ORDER BY id LIMIT ?"
LISTED = """
SELECT id, content_id, email, comment, created_at FROM comment
WHERE (content_id, id) > (?, ?) ORDER BY content_id, id LIMIT ?
"""


class SQLiteStore:
    """A CommentStore. Reads run on a connection per thread; writes wait for the process's one writer."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._clock = Clock()
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
                migrate(connection, path)
        except FAILURES as error:
            raise store_error("COMMENTS_STORE: {path} cannot be opened", path, error) from error
        return cls(path, writer)

    def add(self, new: NewComment, *, idempotency_key: str | None = None, held: bool = False) -> Comment:
        return self._writer.run(
            lambda connection: sqlite_changes.add(connection, self._clock, new, key=idempotency_key, held=held)
        )

    def list_page(self, content_id: int, *, after: str | None, limit: int) -> Page:
        return self._page(LIST, (content_id, after or ""), limit)

    def held_page(self, *, after: str | None, limit: int) -> Page:
        page = self._page(HELD, (after or "",), limit)
        for comment in page.comments:
            comment["held"] = True
        return page

    def approve(self, content_id: int, comment_id: str) -> bool:
        return self._writer.run(lambda connection: sqlite_changes.approve(connection, content_id, comment_id))

    def delete(self, content_id: int, comment_id: str) -> bool:
        return self._writer.run(lambda connection: sqlite_changes.delete(connection, content_id, comment_id))

    def scan(self, *, after: str | None, limit: int) -> Scanned:
        """Held ones by id, behind the token `held ID`, then the threads, behind `listed CONTENT_ID ID`."""
        phase, *last = (after or "held ").split(" ")
        if phase == "held":
            page = self.held_page(after=last[0], limit=limit)
            return Scanned(page.comments, f"held {page.comments[-1]['id']}" if page.more else "listed 0 ")
        page = self._page(LISTED, (int(last[0]), last[1]), limit)
        end = page.comments[-1] if page.more else None
        return Scanned(page.comments, f"listed {end['content_id']} {end['id']}" if end else None)

    def restore(self, comments: Sequence[Comment]) -> int:
        return self._writer.run(lambda connection: sqlite_changes.restore(connection, comments))

    def ping(self) -> None:
        self._page(LIST, (0, ""), 1)

    def close(self) -> None:
        self._writer.close()

    def _page(self, query: str, behind: tuple[Any, ...], limit: int) -> Page:
        comments: list[Comment] = []
        size = 0
        try:
            for id_, content_id, email, comment, at in self._reader().execute(query, (*behind, limit + 1)):
                if len(comments) == limit or size > PAGE_BYTES:
                    return Page(comments, more=True)
                comments.append(
                    {"id": id_, "content_id": content_id, "email": email, "comment": comment, "created_at": at}
                )
                size += len(comment)
        except FAILURES as error:
            raise store_error("reading {path}", self._path, error) from error
        return Page(comments, more=False)

    def _reader(self) -> sqlite3.Connection:
        """Return this thread's connection, which cannot write and so never checkpoints outside the writer's lock."""
        try:
            reader: sqlite3.Connection = self._local.reader
        except AttributeError:
            reader = self._local.reader = connect(self._path, mode="ro")
        return reader
