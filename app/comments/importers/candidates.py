"""Candidates for an import, and their validation."""

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, StrictBool, ValidationError

from comments import ids
from comments.comment import Comment, NewComment, compact
from comments.errors import FieldError, InvalidRequest, field_errors
from comments.fields import CommentId, ContentId, StoredPage, matches

MAX_AHEAD = 366 * 86_400
"""Seconds by which an id may be in the future: a store whose clock was wrong must be able to import its own export.
Later comments of a thread get later ids and times, so an id of the year 9999 would leave no room for them."""


def _not_in_future(comment_id: str) -> str:
    if ids.tick_of(comment_id) > ids.now() + ids.ticks(MAX_AHEAD):
        raise ValueError("must not be more than a year in the future")
    return comment_id


def _timestamp(value: str) -> str:
    with suppress(ValueError):  # for example June 31
        moment = datetime.fromisoformat(value).isoformat(timespec="milliseconds")
        if value.endswith("Z") and moment.replace("+00:00", "Z") == value:
            return value
    raise ValueError("must be a UTC time such as 2026-11-24T08:29:23.614Z")


class StoredComment(NewComment, extra="allow"):
    """A comment in an export: what was posted, what the store added, and the keys of later releases."""

    page: StoredPage = ""
    content_id: ContentId  # with a page, too
    id: Annotated[CommentId, AfterValidator(_not_in_future)]
    created_at: Annotated[str, AfterValidator(_timestamp)]
    held: StrictBool = False
    author: Annotated[str, matches("[0-9a-f]{64}", "must be a SHA-256")] = ""
    edited_at: Annotated[str, AfterValidator(_timestamp)] = ""
    moderator: StrictBool = False

    @classmethod
    def parse(cls, data: Any) -> Comment:
        try:
            return compact(cls.model_validate(data).model_dump())
        except ValidationError as invalid:
            raise InvalidRequest(*field_errors(invalid)) from None


class Skipped(Exception):
    """A comment is left out on purpose. The message is the reason."""


class Candidate(NamedTuple):
    """A comment that may be imported."""

    original: dict[str, Any]
    """The complete source record, for the report."""
    parse: Callable[[], Comment]
    """Raises InvalidRequest or Skipped."""
    changes: Sequence[FieldError] = ()
    """What `parse` changed to make the comment valid."""
    size: int = 1
    """Steps of the progress bar."""


def text_or_base64(value: Any) -> Any:
    """Return bytes as text, or as base64 if they are not UTF-8. Other values are returned as they are."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
