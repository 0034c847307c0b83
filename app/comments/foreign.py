"""What comments of other systems become here: their thread, id, parent, name and address."""

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
from comments.errors import FieldError, InvalidRequest, field_errors
from comments.records import Candidate, Skipped, StoredComment, file_errors
from comments.schemas import MAX_CONTENT_ID, MAX_NAME, VISIBLE, Comment, Email, Page
from comments.strict_json import parse_json

ANONYMOUS = "Anonymous"
"""Name of comments without one. With a name, readers never see the address."""

TOLERANCE = 5 * 60
"""Seconds by which a comment may be in the future. Later comments of its thread would get later times."""

ORDER_BITS = 31
"""Random bits of an id that hold a numeric id, so that comments of the same instant keep their order."""

EMAIL, PAGE = TypeAdapter[str](Email), TypeAdapter[str](Page)

Target = int | str | None
"""Where a thread goes: a content_id, a page, or None to leave it out."""


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


def candidates(records: Sequence[Record], *, host: str, mapping: Path | None) -> list[Candidate]:
    """Return the comments to import. Pages get the host, or none; the mapping file may name other pages."""
    if host and not re.fullmatch("[A-Za-z0-9.-]+(:[0-9]{1,5})?", host):
        raise click.UsageError("--host must be a host such as example.com or localhost:8000")
    pages = {record.thread: "" for record in records if record.thread}
    for thread in pages:
        with suppress(InvalidRequest):  # reported with each comment
            pages[thread] = _page(thread, host)
    targets: Mapping[str, Target] = _read_mapping(mapping, pages) if mapping else pages
    # A reply keeps the id of a parent that is not imported: the parent may have been deleted.
    comment_ids = {(record.thread, record.id): _id(record) for record in records}
    return [_candidate(record, targets, comment_ids, host) for record in records]


def _candidate(
    record: Record, targets: Mapping[str, Target], comment_ids: Mapping[tuple[str, str], str], host: str
) -> Candidate:
    changes: list[FieldError] = []
    original = {"page": record.thread, "record": record.fields}
    return Candidate(original, partial(_convert, record, targets, comment_ids, host, changes), changes)


def _convert(
    record: Record,
    targets: Mapping[str, Target],
    comment_ids: Mapping[tuple[str, str], str],
    host: str,
    changes: list[FieldError],
) -> Comment:
    if record.skip:
        raise Skipped(record.skip)
    if not record.thread:
        raise _invalid("page", "is unknown")
    target = targets[record.thread]
    if target is None:
        raise Skipped("left out")
    if not record.id:
        raise _invalid("id", "is required")
    comment_id = comment_ids[record.thread, record.id]
    if not comment_id:
        raise _invalid("created", "must be a time in the past, after 1970")
    page = "" if isinstance(target, int) else target or _page(record.thread, host)
    parent = comment_ids.get((record.thread, record.parent), "") if record.parent else ""
    name, email = _name(record, changes), record.email.strip()
    try:
        EMAIL.validate_python(email or "a@b")
    except ValidationError as invalid:
        changes.append({"field": "email", "message": f"was left out: it {field_errors(invalid)[0]['message']}"})
        email = ""
    values = {"page": page, "parent": "" if parent == comment_id else parent, "email": email, "held": record.held}
    return StoredComment.parse(
        {
            "id": comment_id,
            "content_id": target if isinstance(target, int) else canonical.thread_of(page),
            "name": name,
            "comment": record.text,
            "created_at": ids.created_at(comment_id),
            **{field: value for field, value in values.items() if value},
        }
    )


def _name(record: Record, changes: list[FieldError]) -> str:
    name = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", record.name).strip()
    if len(name) > MAX_NAME:
        changes.append({"field": "name", "message": f"was cut to {MAX_NAME} characters"})
        name = name[: MAX_NAME - 1] + "…"
    if name and name == record.email.strip():
        changes.append({"field": "name", "message": f"was the email address: {ANONYMOUS} is shown instead"})
        name = ""
    return name if VISIBLE.search(name) else ANONYMOUS


def _page(thread: str, host: str) -> str:
    """Return the canonical page of a path or URL. Raises InvalidRequest."""
    try:
        url = urlsplit(thread)
        page = f"/{url.path.lstrip('/')}" + (f"?{url.query}" if url.query else "")
        return PAGE.validate_python(f"//{host}{page}" if host else page)
    except ValidationError as invalid:
        raise _invalid("page", field_errors(invalid)[0]["message"]) from None
    except ValueError as error:
        raise _invalid("page", f"is not a valid URL: {error}") from None


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


def _read_mapping(path: Path, pages: Mapping[str, str]) -> dict[str, Target]:
    """Read where each thread goes. If there is no file, write a draft and raise."""
    with file_errors(path):
        if not path.exists():
            draft = {thread: page or None for thread, page in pages.items()}
            path.write_bytes(orjson.dumps(draft, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            raise click.ClickException(
                f"{path} did not exist; wrote a draft with the page of each thread. Replace pages with others, with "
                "content_ids, or with null to leave a thread out, and run the command again"
            )
        data = path.read_bytes()
    try:
        mapping = parse_json(data)
    except InvalidRequest as invalid:
        raise click.ClickException(f"{path} {invalid.errors[0]['message']}") from None
    if not isinstance(mapping, dict):
        raise click.ClickException(f'{path} must be a JSON object such as {{"/posts/hello/": "/hello"}}')
    for thread, target in mapping.items():
        try:
            if isinstance(target, str):
                mapping[thread] = PAGE.validate_python(target)
                continue
        except ValidationError as invalid:
            raise click.ClickException(f"{path}: {thread!r} {field_errors(invalid)[0]['message']}") from None
        if target is not None and not (type(target) is int and 1 <= target <= MAX_CONTENT_ID):
            raise click.ClickException(
                f"{path}: {thread!r} must be a page, a number from 1 to {MAX_CONTENT_ID}, or null"
            )
    if missing := [thread for thread in pages if thread not in mapping]:
        some = ", ".join(map(repr, missing[:3])) + (", …" if missing[3:] else "")  # so few that they fit on one line
        raise click.ClickException(f"{path} lacks {len(missing)} of {len(pages)} threads: {some}")
    return mapping


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(FieldError(field=field, message=message))
