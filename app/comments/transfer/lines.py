"""Comments as JSON Lines: written as they are stored, read as strictly as the API reads a post."""

import base64
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, ClassVar

import orjson

from comments.errors import InvalidRequest
from comments.fields import Check, switch, text
from comments.ids import TICKS, tick_of
from comments.models import ID, Comment, NewComment
from comments.transfer import Refused, TransferError

FIELDS = ("id", "content_id", "email", "comment", "created_at", "held")
"""In this order, whatever the store's is, so that exports of two stores can be compared."""

MAX_LINE = 1024 * 1024
"""Bytes; a comment has at most about 45,000. What is longer is no export, and is not read into memory."""

TOLERANCE = 24 * 60 * 60
"""Seconds that an id may be ahead of this machine's clock. Later comments of a thread get ids behind its last one, so a
single id of the year 2100 would take all of them along."""

CREATED_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
IN_LINE = re.compile(r" at line 1 column ([0-9]+)$")


def dump(comments: Iterable[Comment]) -> bytes:
    lines: list[dict[str, Any]] = [{name: comment[name] for name in FIELDS if name in comment} for comment in comments]  # type: ignore[literal-required]  # the fields of a Comment
    return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def _id(value: Any) -> str:
    given = text(value)
    if not ID.fullmatch(given):
        raise ValueError("must be a UUIDv7 in lower case, as this service makes them")
    if tick_of(given) / TICKS / 1000 > time.time() + TOLERANCE:
        raise ValueError("lies in the future, and every new comment of its thread would follow it there")
    return given


def _created_at(value: Any) -> str:
    given = text(value)
    try:
        if CREATED_AT.fullmatch(given) and datetime.fromisoformat(given):
            return given
    except ValueError:
        pass  # such as the 31st of June
    raise ValueError("must be a time such as 2026-11-24T08:29:23.614Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComment(NewComment):
    """A comment as an export has it: what a post may hold, and what the store gave it."""

    id: str
    created_at: str
    held: bool = False

    CHECKS: ClassVar[Mapping[str, Check]] = MappingProxyType(
        {**NewComment.CHECKS, "id": _id, "created_at": _created_at, "held": switch}
    )
    OPTIONAL: ClassVar[frozenset[str]] = frozenset({"held"})


def read_source(source: str) -> Iterator[Comment | Refused]:
    """Read a file, or stdin for `-`."""
    try:
        with nullcontext(_stdin()) if source == "-" else Path(source).open("rb") as stream:
            yield from read_lines(stream)
    except OSError as error:
        raise TransferError(f"{source} cannot be read: {error.strerror}") from error


def _stdin() -> BinaryIO:
    if sys.stdin is None:  # closed by `<&-`; descriptor 0 may be any other file by now
        raise TransferError("stdin is closed: name a file, or send an export in by | or <")
    return sys.stdin.buffer


def read_lines(stream: BinaryIO) -> Iterator[Comment | Refused]:
    """Read one comment at a time, however many there are; raises TransferError for what is no text of lines."""
    for number in count(1):
        line = stream.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE:
            raise TransferError(f"line {number} is longer than {MAX_LINE} bytes: this is not an export of comments")
        yield read_line(line, number)


def read_line(line: bytes, number: int) -> Comment | Refused:
    try:
        given = StoredComment.parse(line)
    except InvalidRequest as invalid:
        errors = [error | {"message": IN_LINE.sub(r" at column \1", error["message"])} for error in invalid.errors]
        if not line.endswith(b"\n"):
            errors[-1]["message"] += " (the last line, which has no end: the file may have been cut off)"
        return Refused(f"line {number}", errors, {"line": number} | raw(line.rstrip(b"\r\n")))
    return given.stored(given.id, given.created_at, held=given.held)


def raw(data: bytes) -> dict[str, str]:
    """Return bytes for a report so that nothing of them is lost: as text, or else in base64."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
