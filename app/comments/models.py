"""What a comment is, and what the service accepts as one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NotRequired, Self, TypedDict

from comments.errors import FieldError, InvalidRequest
from comments.fields import Check, read, text

MAX_CONTENT_ID = 2**53 - 1
"""JavaScript's largest exact integer: a larger id would not survive a browser."""

MAX_EMAIL = 254
MAX_EMAIL_LOCAL_PART = 64
"""Characters of an address, and before its @ (RFC 5321, 4.5.3.1)."""

MAX_COMMENT = 10_000
MAX_PAGE = 1_000

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
CONTENT_ID = re.compile(r"[1-9][0-9]{0,15}")
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
LIMIT = re.compile(r"[1-9][0-9]{0,3}")
NOT_IN_EMAIL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
NOT_IN_COMMENT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Comment(TypedDict):
    """A stored comment, as it is listed: id is a UUIDv7, created_at RFC 3339 in UTC; held only while it is not."""

    id: str
    content_id: int
    email: str
    comment: str
    created_at: str
    held: NotRequired[bool]


def _content_id(value: Any) -> int:
    """Take 7.0 for 7, as JSON and its schemas do: they know numbers, not how one is written."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise ValueError("must be an integer")
    if value < 1:
        raise ValueError("must be at least 1")
    if value > MAX_CONTENT_ID:
        raise ValueError(f"must be at most {MAX_CONTENT_ID}")
    return value


def _email(value: Any) -> str:
    address = text(value)
    if len(address) > MAX_EMAIL:
        raise ValueError(f"must have at most {MAX_EMAIL} characters")
    if NOT_IN_EMAIL.search(address):
        raise ValueError("must not contain spaces or control characters")
    local_part, separator, domain = address.partition("@")
    if not separator or not local_part or not domain or "@" in domain:
        raise ValueError("must be an address with one @, such as alice@example.com")
    if len(local_part) > MAX_EMAIL_LOCAL_PART:
        raise ValueError(f"must have at most {MAX_EMAIL_LOCAL_PART} characters before the @")
    return address


def _comment(value: Any) -> str:
    trimmed = text(value).strip()
    if not trimmed:
        raise ValueError("must not be empty")
    if len(trimmed) > MAX_COMMENT:
        raise ValueError(f"must have at most {MAX_COMMENT} characters, has {len(trimmed)}")
    if control := NOT_IN_COMMENT.search(trimmed):
        raise ValueError(f"must not contain the control character U+{ord(control[0]):04X}")
    return trimmed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComment:
    """A comment as it is posted, checked; the comment's text is trimmed, nothing else is changed."""

    content_id: int
    email: str
    comment: str

    CHECKS: ClassVar[Mapping[str, Check]] = MappingProxyType(
        {"content_id": _content_id, "email": _email, "comment": _comment}
    )
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a request's body; raises InvalidRequest, which names each wrong field or the line of a syntax error."""
        return cls(**read(body, cls.CHECKS, optional=cls.OPTIONAL))

    def stored(self, comment_id: str, created_at: str, *, held: bool) -> Comment:
        """Return the comment as a store keeps it."""
        comment: Comment = {
            "id": comment_id,
            "content_id": self.content_id,
            "email": self.email,
            "comment": self.comment,
            "created_at": created_at,
        }
        return comment | {"held": True} if held else comment


def parse_content_id(text: str) -> int:
    """Read a thread's number from a path; int() alone would take 007 and other scripts' digits."""
    if not CONTENT_ID.fullmatch(text) or int(text) > MAX_CONTENT_ID:
        message = f"must be a whole number from 1 to {MAX_CONTENT_ID}"
        raise InvalidRequest(FieldError(field="content_id", message=message))
    return int(text)


def parse_limit(text: str | None) -> int:
    """Read `limit`: how many comments a page holds at the most."""
    if text is None:
        return MAX_PAGE
    if not LIMIT.fullmatch(text) or int(text) > MAX_PAGE:
        raise InvalidRequest(FieldError(field="limit", message=f"must be a number from 1 to {MAX_PAGE}"))
    return int(text)


def parse_after(text: str | None) -> str | None:
    """Read `after`: the id of the comment behind which a page begins."""
    if text is not None and not ID.fullmatch(text):
        raise InvalidRequest(FieldError(field="after", message="must be the id of a comment, as this service gave it"))
    return text


def parse_id(text: str) -> str:
    """Read a comment's id from a path."""
    if not ID.fullmatch(text):
        raise InvalidRequest(FieldError(field="id", message="must be the id of a comment, as this service gave it"))
    return text


def parse_idempotency_key(text: str | None) -> str | None:
    if text is not None and not IDEMPOTENCY_KEY.fullmatch(text):
        message = "must be 1 to 255 visible ASCII characters, without spaces"
        raise InvalidRequest(FieldError(field="Idempotency-Key", message=message))
    return text
