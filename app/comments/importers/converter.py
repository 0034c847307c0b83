"""Convert comments of other systems: their thread, id, parent, name and address."""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import orjson
from pydantic import TypeAdapter, ValidationError

from comments import canonical, ids
from comments.comment import Comment
from comments.errors import FieldError, InvalidRequest, field_errors
from comments.fields import MAX_NAME, VISIBLE, ContentId, Email, Page
from comments.importers.candidates import Candidate, Skipped, StoredComment
from comments.importers.files import file_errors
from comments.strict_json import parse_json

ANONYMOUS = "Anonymous"
"""Name of comments without one. With a name, readers never see the address."""

TOLERANCE = 5 * 60
"""Seconds by which a comment may be in the future. Later comments of its thread would get later times."""

ORDER_BITS = 31
"""Random bits of an id that hold a numeric id, so that comments of the same instant keep their order."""

EMAIL, PAGE = TypeAdapter[str](Email), TypeAdapter[str](Page)
MAPPING = TypeAdapter(dict[str, ContentId | Page | None])

Target = int | str | None
"""Where a thread goes: a content_id, a page, or None to leave it out. Empty if its address is invalid."""

REASONS = {
    "page": "must be known, and the path or URL of a page",
    "id": "is required",
    "created": "must be a time in the past, after 1970",
}
"""Why a comment is invalid."""


class Record(NamedTuple):
    """A comment of another system. Strings are empty if they have no value."""

    fields: Mapping[str, Any]
    """All that is known of it, for the report."""
    thread: str
    """Path or URL of the page; empty if it is unknown."""
    id: str
    """Unique within the thread."""
    created: float | str
    """Seconds since 1970, or a time such as 2026-11-24T08:29:23Z: in UTC if it has no offset."""
    text: Any
    parent: str = ""
    name: str = ""
    email: str = ""
    held: bool = False
    skip: str = ""
    """Why it is left out, such as spam."""


class Converter:
    """Converts comments. Pages get the host, or none; a mapping file may name other pages or content_ids."""

    def __init__(self, records: Sequence[Record], *, host: str, mapping: Path | None) -> None:
        if host and not re.fullmatch("[A-Za-z0-9.-]+(:[0-9]{1,5})?", host):
            raise click.UsageError("--host must be a host such as example.com or localhost:8000")
        self.records, self.host = records, host
        self.targets: dict[str, Target] = {record.thread: self._page(record.thread) for record in records}
        if mapping:
            self.targets = _read_mapping(mapping, self.targets)
        # A reply keeps the id of a parent that is not imported: the parent may have been deleted.
        self.ids = {(record.thread, record.id): _id(record) for record in records if record.id}

    def candidates(self) -> list[Candidate]:
        changes: list[list[FieldError]] = [[] for _ in self.records]
        return [
            Candidate(
                {"page": record.thread, "record": record.fields}, partial(self._convert, record, changed), changed
            )
            for record, changed in zip(self.records, changes, strict=True)
        ]

    def _convert(self, record: Record, changes: list[FieldError]) -> Comment:
        target, comment_id = self.targets[record.thread], self.ids.get((record.thread, record.id), "")
        if record.skip or target is None:
            raise Skipped(record.skip or "left out")
        if not (target and comment_id):
            field = "page" if not target else "created" if record.id else "id"
            raise InvalidRequest(FieldError(field=field, message=REASONS[field]))
        page = target if isinstance(target, str) else ""
        parent = self.ids.get((record.thread, record.parent), "")
        email = record.email.strip()
        try:
            EMAIL.validate_python(email or "a@b")
        except ValidationError as invalid:
            changes.append({"field": "email", "message": f"was left out: it {field_errors(invalid)[0]['message']}"})
            email = ""
        comment = {
            "id": comment_id,
            "content_id": canonical.thread_of(page) if page else target,
            "page": page,
            "name": _name(record, changes),
            "email": email,
            "comment": record.text,
            "created_at": ids.created_at(comment_id),
            "parent": parent if parent != comment_id else "",
            "held": record.held,
        }
        return StoredComment.parse({field: value for field, value in comment.items() if value})

    def _page(self, thread: str) -> str:
        """Return the canonical page of a path or URL, or nothing if it is invalid."""
        with suppress(ValueError):
            url = urlsplit(thread)
            page = f"/{url.path.lstrip('/')}" + (f"?{url.query}" if url.query else "")
            return PAGE.validate_python(f"//{self.host}{page}" if self.host else page) if thread else ""
        return ""


def _name(record: Record, changes: list[FieldError]) -> str:
    name = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", record.name).strip()
    if len(name) > MAX_NAME:
        changes.append({"field": "name", "message": f"was cut to {MAX_NAME} characters"})
        name = name[: MAX_NAME - 1] + "…"
    if name and name == record.email.strip():
        changes.append({"field": "name", "message": f"was the email address: {ANONYMOUS} is shown instead"})
        name = ""
    return name if VISIBLE.search(name) else ANONYMOUS


def _id(record: Record) -> str:
    """Return an id with the time of the comment, or nothing if that is invalid.

    The rest comes from fields that never change, so that a second import finds the comment.
    """
    try:
        if isinstance(record.created, str):
            created = datetime.fromisoformat(record.created)
            seconds = (created if created.tzinfo else created.replace(tzinfo=UTC)).timestamp()
        else:
            seconds = float(record.created)
    except (TypeError, ValueError):
        return ""
    if not 0 < seconds < time.time() + TOLERANCE:
        return ""
    digest = hashlib.sha256(f"{record.thread}\0{record.id}".encode()).digest()
    kept = ids.RANDOM_BITS - ORDER_BITS
    order = int(record.id) if re.fullmatch("[0-9]{1,20}", record.id) else 0
    random = order % (1 << ORDER_BITS) << kept | int.from_bytes(digest) % (1 << kept)
    return ids.id_at(ids.ticks(seconds), random=random)


def _read_mapping(path: Path, drafted: Mapping[str, Target]) -> dict[str, Target]:
    """Read where each thread goes. If there is no file, write a draft and raise."""
    draft = {thread: page or None for thread, page in drafted.items() if thread}
    with file_errors(path):
        if not path.exists():
            path.write_bytes(orjson.dumps(draft, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            raise click.ClickException(
                f"{path} did not exist; wrote a draft with the page of each thread. Replace pages with others, with "
                "content_ids, or with null to leave a thread out, and run the command again"
            )
        data = path.read_bytes()
    try:
        mapping = MAPPING.validate_python(parse_json(data), strict=True)
    except InvalidRequest as invalid:
        raise click.ClickException(f"{path} {invalid.errors[0]['message']}") from None
    except ValidationError as invalid:
        where = invalid.errors()[0]["loc"][:1]
        what = (
            f"{where[0]!r} must be a page such as /posts/hello, a content_id, or null"
            if where
            else "must be a JSON object"
        )
        raise click.ClickException(f"{path}: {what}") from None
    if missing := [thread for thread in draft if thread not in mapping]:
        some = ", ".join(map(repr, missing[:3])) + (", …" if missing[3:] else "")  # so few that they fit on one line
        raise click.ClickException(f"{path} lacks {len(missing)} of {len(draft)} threads: {some}")
    return {"": "", **mapping}
