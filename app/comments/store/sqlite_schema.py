"""The tables of the SQLite file, and how a file of an older version gets them."""

import sqlite3
from pathlib import Path

from comments.errors import StoreError

COLUMNS = """
    content_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    comment TEXT NOT NULL,
    created_at TEXT NOT NULL,
"""
MIGRATIONS = (
    # 1: the threads, each in the order of its ids.
    (f"CREATE TABLE comment ({COLUMNS} PRIMARY KEY (content_id, id)) WITHOUT ROWID, STRICT",),
    # 2: what waits for approval, which no list ever reads, and the idempotency keys of a day.
    (
        f"CREATE TABLE held ({COLUMNS} PRIMARY KEY (id)) WITHOUT ROWID, STRICT",
        """CREATE TABLE idempotency_key (
            key TEXT NOT NULL PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            id TEXT NOT NULL,
            held INTEGER NOT NULL,
            expires_at INTEGER NOT NULL
        ) WITHOUT ROWID, STRICT""",
        "CREATE INDEX idempotency_key_expires_at ON idempotency_key (expires_at)",
    ),
)
"""The statements that lead to each version from the one before; only ever added to."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file up to date inside the caller's transaction; raises StoreError if a newer service wrote it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(f"COMMENTS_STORE: {path} was written by a newer version of this service; run that one")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
