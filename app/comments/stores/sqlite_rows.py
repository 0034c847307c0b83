"""Rows of the SQLite file: reading and changing them within a transaction."""

import sqlite3
import time
from typing import Any

import orjson

from comments.comment import Author, Comment, NewComment
from comments.errors import KeyReused
from comments.ids import id_at, now, tick_of
from comments.stores.base import fingerprint, hash_of

REQUIRED = ("id", "content_id", "email", "comment", "created_at")
COLUMNS = "id, content_id, email, comment, created_at, more"


def comment_of(row: tuple[Any, ...]) -> Comment:
    comment_id, content_id, email, text, created_at, more = row
    comment: Comment = {"id": comment_id, "content_id": content_id, "comment": text, "created_at": created_at}
    if email:
        comment["email"] = email
    return comment | orjson.loads(more)  # type: ignore[no-any-return]  # the keys of a Comment


def next_id(db: sqlite3.Connection, content_id: int) -> str:
    """Return an id after the newest that the thread has or had, even if the system clock was set back since."""
    newest = db.execute(
        "SELECT max(id) FROM (SELECT max(id) AS id FROM comment WHERE content_id = :content_id"
        " UNION ALL SELECT id FROM deleted_newest WHERE content_id = :content_id)",
        {"content_id": content_id},
    ).fetchone()[0]
    return id_after(newest)


def id_after(newest: str | None) -> str:
    return id_at(max(now(), tick_of(newest) + 1 if newest else 0))


def find_replay(db: sqlite3.Connection, new: NewComment, key: str, by: Author) -> Comment | None:
    seen = db.execute(
        "SELECT fingerprint, id, held FROM idempotency_key WHERE key = ? AND expires_at > ?",
        (hash_of(new.content_id, key), int(time.time())),
    ).fetchone()
    if seen is None:
        return None
    content, comment_id, held = seen
    if content != fingerprint(new, by):
        raise KeyReused
    return new.stored(comment_id, held=bool(held), by=by)


def remembered_id(db: sqlite3.Connection, *parts: object) -> str | None:
    """Return the id under which a pending comment was published, or the last one that was approved of an author."""
    row = db.execute("SELECT id FROM idempotency_key WHERE key = ?", (hash_of(*parts),)).fetchone()
    return row[0] if row else None


def insert(db: sqlite3.Connection, comment: Comment) -> None:
    table = "held" if comment.get("held") else "comment"
    db.execute(f"INSERT INTO {table} ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", _row(comment))  # noqa: S608  # only constants are interpolated


def _row(comment: Comment) -> tuple[Any, ...]:
    values: dict[str, Any] = {"email": "", **comment}
    values.pop("held", None)
    required = [values.pop(name) for name in REQUIRED]
    return (*required, orjson.dumps(values).decode())


def remember(
    db: sqlite3.Connection, hashed: str, content: str, comment_id: str, expires_at: int, *, held: bool
) -> None:
    """Remember a key, and delete up to ten expired ones: this keeps the table small without a slow request."""
    expired = "SELECT key FROM idempotency_key WHERE expires_at <= ? LIMIT 10"
    db.execute(f"DELETE FROM idempotency_key WHERE key IN ({expired})", (int(time.time()),))  # noqa: S608  # only a constant is interpolated
    db.execute(
        "INSERT OR REPLACE INTO idempotency_key (key, fingerprint, id, held, expires_at) VALUES (?, ?, ?, ?, ?)",
        (hashed, content, comment_id, held, expires_at),
    )


def is_known(db: sqlite3.Connection, comment: Comment) -> bool:
    """Return whether the thread has the id, or had it until its approval."""
    query = (
        "SELECT EXISTS (SELECT 1 FROM comment WHERE content_id = :content_id AND id = :id)"
        " OR EXISTS (SELECT 1 FROM held WHERE id = :id AND (content_id = :content_id OR :held))"  # their ids are unique
        " OR EXISTS (SELECT 1 FROM idempotency_key WHERE key = :approval)"
    )
    approval = hash_of("approve", comment["content_id"], comment["id"])
    return bool(db.execute(query, {"held": False, **comment, "approval": approval}).fetchone()[0])


def restore(db: sqlite3.Connection, comment: Comment) -> bool:
    known = is_known(db, comment)
    if not known:
        insert(db, comment)
    return not known
