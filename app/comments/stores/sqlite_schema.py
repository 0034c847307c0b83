"""The SQLite file: its tables, and which files this release can use."""

import sqlite3

from comments.errors import StoreError

TABLE = """(
    content_id INTEGER NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, comment TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY ({key})
) WITHOUT ROWID, STRICT"""
APPLICATION_ID = 0x436D6E74
"""Identifies the file as ours, to this service and to `file`: "Cmnt". Release 0.2.0 left it 0."""
SCHEMA_VERSION = 2
"""Of the oldest release that can use the file, 0.2.0. A release that adds tables, columns with a default or keys of
`more` keeps it, so that older ones still open the file."""
MORE = "ALTER TABLE {table} ADD COLUMN more TEXT NOT NULL DEFAULT '{{}}'"
"""A JSON object with all other keys of a comment, including those of later releases. Release 0.2.0 ignores it."""
SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS comment {TABLE.format(key='content_id, id')}",
    f"CREATE TABLE IF NOT EXISTS held {TABLE.format(key='id')}",
    """CREATE TABLE IF NOT EXISTS idempotency_key (key TEXT NOT NULL PRIMARY KEY, fingerprint TEXT NOT NULL,
        id TEXT NOT NULL, held INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID, STRICT""",
    "CREATE INDEX IF NOT EXISTS idempotency_key_expires_at ON idempotency_key (expires_at)",
    # The newest id of each thread that was deleted while it was the newest: later comments still come after it.
    """CREATE TABLE IF NOT EXISTS deleted_newest (content_id INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL)
        WITHOUT ROWID, STRICT""",
    """CREATE TRIGGER IF NOT EXISTS remember_newest AFTER DELETE ON comment
        WHEN NOT EXISTS (SELECT 1 FROM comment WHERE content_id = OLD.content_id AND id > OLD.id)
        BEGIN
            INSERT INTO deleted_newest VALUES (OLD.content_id, OLD.id)
                ON CONFLICT (content_id) DO UPDATE SET id = max(id, excluded.id);
        END""",
    "CREATE INDEX IF NOT EXISTS comment_id ON comment (id)",
    """CREATE TABLE IF NOT EXISTS outbox (target TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL,
        content_id INTEGER NOT NULL, comment_id TEXT NOT NULL, PRIMARY KEY (target, id)) WITHOUT ROWID, STRICT""",
    "CREATE TABLE IF NOT EXISTS lease (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def check(db: sqlite3.Connection, name: str) -> None:
    """Raise StoreError if the file belongs to another application or a newer version."""
    application, version = (db.execute(f"PRAGMA {each}").fetchone()[0] for each in ("application_id", "user_version"))
    tables = {table for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    is_ours = application == APPLICATION_ID or (application == 0 and (not tables or "idempotency_key" in tables))
    if not is_ours:
        raise StoreError(f"COMMENTS_STORE: {name} belongs to another application; use another file")
    if version > SCHEMA_VERSION:
        raise StoreError(f"COMMENTS_STORE: {name} was written by a newer version of this service; run that version")


def create(db: sqlite3.Connection) -> None:
    """Create what the file lacks."""
    for statement in SCHEMA:
        db.execute(statement)
    for table in ("comment", "held"):
        if "more" not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
            db.execute(MORE.format(table=table))
