"""Comments from the SQLite database of Isso 0.13 and 0.14."""

import hashlib
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import orjson
from pydantic import TypeAdapter, ValidationError

from comments import ids
from comments.errors import InvalidRequest, field_errors
from comments.records import Candidate, StoredComment, file_errors, text_or_base64
from comments.schemas import MAX_CONTENT_ID, Comment, Email
from comments.strict_json import parse_json

ACCEPTED, PENDING, DELETED = 1, 2, 4
"""Isso's `mode`. A deleted comment that has replies remains as an empty row."""

TOLERANCE = 5 * 60
"""Seconds by which a comment may be in the future. Later comments of its thread would get later times."""

ORDER_BITS = 31
"""Random bits of an id that hold Isso's id, so that comments of the same instant keep their order."""

COMMENTS = """
SELECT comments.id, threads.uri, comments.created, comments.mode, comments.text, comments.author, comments.email
FROM comments LEFT JOIN threads ON threads.id = comments.tid ORDER BY comments.tid, comments.id
"""


def read(database: Path, mapping: Path, missing_email: str | None) -> tuple[list[Candidate], str]:
    """Return the comments to import, and a note that counts the others.

    `missing_email` is the address of comments without one.
    """
    if missing_email:
        try:
            TypeAdapter(Email).validate_python(missing_email)
        except ValidationError as invalid:
            reason = field_errors(invalid)[0]["message"]
            raise click.UsageError(f"--missing-email must be skip or an email address: it {reason}") from None
    if not database.is_file():
        raise click.ClickException(f"{database} does not exist; use the file that Isso's setting dbpath names")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True)) as db:
            db.text_factory = bytes  # it may not be UTF-8; SQLite allows any type in any column
            db.row_factory = sqlite3.Row
            threads = {_decode(uri): number for uri, number in db.execute("SELECT uri, id FROM threads ORDER BY id")}
            content_ids = _read_mapping(mapping, threads)
            rows = [dict(row) for row in db.execute(COMMENTS)]
    except sqlite3.Error as error:
        raise click.ClickException(f"{database} is not a readable database of Isso: {error}") from error
    rest = [row for row in rows if row["mode"] != DELETED]
    wanted = [row for row in rest if content_ids.get(_decode(row["uri"]), 0) is not None]
    candidates = [
        Candidate(
            f"comment {row['id']}",
            {"isso": {name: text_or_base64(value) for name, value in row.items()}},
            partial(_convert, row, content_ids, missing_email),
        )
        for row in wanted
    ]
    note = f"{len(rows) - len(rest):,} deleted in Isso, {len(rest) - len(wanted):,} in threads set to null"
    return candidates, note


def _read_mapping(path: Path, threads: Mapping[str, int]) -> dict[str, int | None]:
    """Read the content_id of each thread; None skips the thread. If there is no file, write a draft and raise."""
    with file_errors(path):
        if not path.exists():
            path.write_bytes(orjson.dumps(threads, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            raise click.ClickException(
                f"{path} did not exist; wrote a draft with each thread and its number in Isso. Replace the numbers "
                "with the content_ids that your pages use, or null to skip a thread, and run the command again"
            )
        data = path.read_bytes()
    try:
        mapping = parse_json(data)
    except InvalidRequest as invalid:
        raise click.ClickException(f"{path} {invalid.errors[0]['message']}") from None
    if not isinstance(mapping, dict):
        raise click.ClickException(f'{path} must be a JSON object such as {{"/posts/hello/": 1}}')
    for uri, number in mapping.items():
        if number is not None and not (type(number) is int and 1 <= number <= MAX_CONTENT_ID):
            raise click.ClickException(f"{path}: {uri!r} must be a number from 1 to {MAX_CONTENT_ID}, or null")
    if missing := [uri for uri in threads if uri not in mapping]:
        some = ", ".join(map(repr, missing[:3])) + (", …" if missing[3:] else "")  # so few that they fit on one line
        raise click.ClickException(f"{path} lacks {len(missing)} of {len(threads)} threads: {some}")
    return mapping


def _convert(row: Mapping[str, Any], content_ids: Mapping[str, int | None], missing_email: str | None) -> Comment:
    if row["uri"] is None or _decode(row["uri"]) not in content_ids:
        raise InvalidRequest({"field": "thread", "message": "does not exist"})
    if row["mode"] not in {ACCEPTED, PENDING}:
        raise InvalidRequest({"field": "mode", "message": "must be 1, 2 or 4"})
    latest = time.time() + TOLERANCE
    if not (isinstance(row["created"], float | int) and 0 < row["created"] < latest):
        raise InvalidRequest({"field": "created", "message": "must be a time in the past, in seconds since 1970"})
    # Derive the rest of the id from immutable fields, so that a second import finds the comment.
    digest = hashlib.sha256(row["uri"] + b"\0%d" % row["id"]).digest()
    kept = ids.RANDOM_BITS - ORDER_BITS
    random = (row["id"] % (1 << ORDER_BITS)) << kept | int.from_bytes(digest) % (1 << kept)
    comment_id = ids.id_at(ids.ticks(row["created"]), random=random)
    comment = {
        "id": comment_id,
        "content_id": content_ids[_decode(row["uri"])],
        "comment": row["text"].replace(b"\r\n", b"\n") if isinstance(row["text"], bytes) else row["text"],
        "created_at": ids.created_at(comment_id),
        "held": row["mode"] == PENDING,
    }
    email = row["email"] or missing_email
    return StoredComment.parse(comment | ({"email": email} if email else {}))


def _decode(uri: bytes | None) -> str:
    return (uri or b"").decode(errors="replace")
