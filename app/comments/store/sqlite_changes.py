"""Every change of the SQLite file, as a function of the connection whose transaction is open."""

import sqlite3
import time
from collections.abc import Sequence

from comments.errors import KeyReused
from comments.ids import Clock, created_at, id_at, tick_of
from comments.models import Comment, NewComment
from comments.store import KEY_SECONDS, fingerprint

VALUES = "VALUES (:content_id, :id, :email, :comment, :created_at)"
FORGET = "DELETE FROM idempotency_key WHERE key IN (SELECT key FROM idempotency_key WHERE expires_at <= ? LIMIT 10)"
"""Ten for each one added: keys are forgotten faster than they come, and no request waits for a day's of them."""


def add(connection: sqlite3.Connection, clock: Clock, new: NewComment, *, key: str | None, held: bool) -> Comment:
    """Insert a comment, or return the one that came under the key before; raises KeyReused if that was another."""
    if key is None:
        return _insert(connection, clock, new, held=held)
    now = int(time.time())
    hashed = fingerprint.of_key(key)
    print_ = fingerprint.of_comment(new)
    stored = connection.execute(
        "SELECT fingerprint, id, held FROM idempotency_key WHERE key = ? AND expires_at > ?", (hashed, now)
    ).fetchone()
    if stored:
        if stored[0] != print_:
            raise KeyReused
        return new.stored(stored[1], created_at(tick_of(stored[1])), held=bool(stored[2]))
    comment = _insert(connection, clock, new, held=held)
    connection.execute(FORGET, (now,))
    connection.execute(
        "INSERT OR REPLACE INTO idempotency_key VALUES (?, ?, ?, ?, ?)",
        (hashed, print_, comment["id"], held, now + KEY_SECONDS),
    )
    return comment


def _insert(connection: sqlite3.Connection, clock: Clock, new: NewComment, *, held: bool) -> Comment:
    """Give the comment its id inside the transaction, above the thread's last: ids are in the order of commits."""
    (last,) = connection.execute("SELECT max(id) FROM comment WHERE content_id = ?", (new.content_id,)).fetchone()
    if held:
        (waiting,) = connection.execute("SELECT max(id) FROM held").fetchone()
        last = max(last or "", waiting or "")
    tick = clock.tick(after=tick_of(last) if last else 0)
    comment = new.stored(id_at(tick), created_at(tick), held=held)
    connection.execute(f"INSERT INTO {'held' if held else 'comment'} {VALUES}", comment)
    return comment


def approve(connection: sqlite3.Connection, content_id: int, comment_id: str) -> bool:
    which = (content_id, comment_id)
    # An id can be in both only if one was restored beside the other; the listed one is what readers have seen.
    connection.execute("INSERT OR IGNORE INTO comment SELECT * FROM held WHERE content_id = ? AND id = ?", which)
    connection.execute("DELETE FROM held WHERE content_id = ? AND id = ?", which)
    return connection.execute("SELECT 1 FROM comment WHERE content_id = ? AND id = ?", which).fetchone() is not None


def delete(connection: sqlite3.Connection, content_id: int, comment_id: str) -> bool:
    which = (content_id, comment_id)
    deleted = connection.execute("DELETE FROM held WHERE content_id = ? AND id = ?", which).rowcount
    deleted += connection.execute("DELETE FROM comment WHERE content_id = ? AND id = ?", which).rowcount
    return deleted > 0


def restore(connection: sqlite3.Connection, comments: Sequence[Comment]) -> int:
    new = 0
    for comment in comments:
        table, other = ("held", "comment") if comment.get("held") else ("comment", "held")
        statement = f"""
            INSERT OR IGNORE INTO {table} SELECT :content_id, :id, :email, :comment, :created_at
            WHERE NOT EXISTS (SELECT 1 FROM {other} WHERE content_id = :content_id AND id = :id)
        """  # noqa: S608  # the names are the two literals above, no input
        new += connection.execute(statement, comment).rowcount
    return new
