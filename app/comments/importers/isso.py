"""Read the SQLite database of Isso 0.13 and 0.14."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from comments.importers.candidates import text_or_base64
from comments.importers.converter import Record

ACCEPTED, DELETED = 1, 4
"""Isso's `mode`, 2 for pending comments. A deleted comment that has replies remains as an empty row."""

COMMENTS = """
SELECT comments.id, threads.uri, comments.parent, comments.created, comments.mode, comments.text, comments.author,
    comments.email
FROM comments LEFT JOIN threads ON threads.id = comments.tid ORDER BY comments.tid, comments.id
"""


def read(database: Path) -> list[Record]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True)) as db:
            db.text_factory = bytes  # it may not be UTF-8; SQLite allows any type in any column
            db.row_factory = sqlite3.Row
            return [_record(dict(row)) for row in db.execute(COMMENTS)]
    except sqlite3.Error as error:
        raise click.ClickException(f"{database} is not a readable database of Isso: {error}") from error


def _record(row: dict[str, Any]) -> Record:
    text = row["text"]
    return Record(
        {name: text_or_base64(value) for name, value in row.items()},
        _text(row["uri"]),
        str(row["id"]),
        row["created"],
        text.replace(b"\r\n", b"\n") if isinstance(text, bytes) else text,
        parent=str(row["parent"] or ""),
        name=_text(row["author"]),
        email=_text(row["email"]),
        held=row["mode"] != ACCEPTED,
        skip="deleted" if row["mode"] == DELETED else "",
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
