"""Comments out of the SQLite database of Isso 0.13 and later."""

import hashlib
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from comments.errors import FieldError, InvalidRequest
from comments.ids import RANDOM_BITS, TICKS, created_at, id_at
from comments.models import Comment, NewComment
from comments.transfer import Refused, TransferError
from comments.transfer.lines import TOLERANCE, raw

ACCEPTED, PENDING, DELETED = 1, 2, 4
"""Isso's `mode`; a deleted comment stays as an empty row as long as there are replies to it."""

ORDER_BITS = 31
"""Random bits of an id that hold Isso's own number: comments of the same instant keep their order."""

THREADS = "SELECT uri, id FROM threads ORDER BY id"
COMMENTS = """
SELECT comments.id, threads.uri, comments.created, comments.mode, comments.text, comments.author, comments.email
FROM comments LEFT JOIN threads ON threads.id = comments.tid ORDER BY comments.tid, comments.id
"""


class Row(NamedTuple):
    """A comment of Isso; SQLite lets any column hold any type."""

    id: int
    uri: Any
    created: Any
    mode: Any
    text: Any
    author: Any
    email: Any


@dataclass
class Isso:
    """A database, read once; the counts are of what is left out on purpose and needs no report."""

    path: Path
    deleted: int = 0
    unwanted: int = 0

    def threads(self) -> dict[str, int]:
        """Return every address and its number; raises TransferError if this is no database of Isso."""
        return {uri: number for uri, number in self._read(THREADS) if _is_text(uri)}

    def comments(
        self, content_ids: Mapping[str, int | None], *, missing_email: str | None
    ) -> Iterator[Comment | Refused]:
        """Read all comments; one without an email gets the given one, or is refused without."""
        for row in map(Row._make, self._read(COMMENTS)):
            if row.mode == DELETED:
                self.deleted += 1
            elif isinstance(row.uri, str) and content_ids.get(row.uri, 0) is None:
                self.unwanted += 1
            else:
                yield _comment(row, content_ids, missing_email)

    def _read(self, query: str) -> Iterator[tuple[Any, ...]]:
        if not self.path.is_file():
            raise TransferError(f"{self.path} is not there: give the file that Isso's setting dbpath names")
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self.path.absolute()))}?mode=ro", uri=True)) as connection:
                connection.text_factory = lambda data: data.decode(errors="surrogateescape")
                yield from connection.execute(query)
        except sqlite3.Error as error:
            raise TransferError(f"{self.path} cannot be read as a database of Isso: {error}") from error


def _comment(row: Row, content_ids: Mapping[str, int | None], missing_email: str | None) -> Comment | Refused:
    errors = list(_errors(row, content_ids))
    email = row.email or missing_email
    if not email:
        errors.append(FieldError(field="email", message="is missing"))
    if errors:
        return _refused(row, errors)
    body = {"content_id": content_ids[row.uri], "email": email, "comment": row.text.replace("\r\n", "\n")}
    try:
        new = NewComment.parse(orjson.dumps(body))
    except InvalidRequest as invalid:
        return _refused(row, list(invalid.errors))
    tick = int(row.created * 1000 * TICKS)
    return new.stored(id_at(tick, random=_bits(row)), created_at(tick), held=row.mode == PENDING)


def _errors(row: Row, content_ids: Mapping[str, int | None]) -> Iterator[FieldError]:
    """Find what the API never meets, since it is JSON that arrives there."""
    if row.uri not in content_ids:
        yield FieldError(field="thread", message="is not in the database any more, or has no address")
    if row.mode not in {ACCEPTED, PENDING}:
        yield FieldError(field="mode", message=f"is {row.mode!r}, and not 1, 2 or 4")
    if not (
        isinstance(row.created, float | int)
        and math.isfinite(row.created)
        and 0 < row.created < time.time() + TOLERANCE
    ):
        yield FieldError(field="created", message="must be the seconds from 1970 to a time that has passed")
    for name, value in (("text", row.text), ("email", row.email or "")):
        if not _is_text(value):
            yield FieldError(field=name, message="must be text in UTF-8")


def _is_text(value: Any) -> bool:
    """Tell text from blobs, numbers and bytes that were no UTF-8, which the reader made surrogates of."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _bits(row: Row) -> int:
    """Make an id's random bits from what stays the same: Isso's number in front, and a hash of it and the address."""
    digest = hashlib.sha256(f"{row.uri}\0{row.id}".encode(errors="surrogateescape")).digest()
    kept = RANDOM_BITS - ORDER_BITS
    return (row.id % (1 << ORDER_BITS)) << kept | int.from_bytes(digest) % (1 << kept)


def _refused(row: Row, errors: list[FieldError]) -> Refused:
    """Keep everything in the report from which the comment could be made by hand."""
    record = {name: _for_report(value) for name, value in row._asdict().items()}
    return Refused(f"comment {row.id} of {row.uri!r}", errors, {"isso": record})


def _for_report(value: Any) -> Any:
    if isinstance(value, str):
        value = value.encode(errors="surrogateescape")
    if isinstance(value, bytes):
        kept = raw(value)
        return kept.get("text", kept)
    return value
