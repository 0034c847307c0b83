"""What a comment is, and what the service accepts as one."""

import re
from typing import Annotated, Any, NotRequired, Self, TypedDict

import jiter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from comments.errors import FieldError, InvalidRequest

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

_CONTROL = "\\u0000-\\u001f\\u007f-\\u009f"
_SPACE = "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
EMAIL_PATTERN = f"^[^@{_CONTROL}{_SPACE}]{{1,{MAX_EMAIL_LOCAL_PART}}}@[^@{_CONTROL}{_SPACE}]+$"
COMMENT_PATTERN = (
    "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*"
    f"[^{_CONTROL}{_SPACE}]"
    "[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$"
)
"""What the functions below check, as far as a pattern can tell it to others: they say what is wrong, it cannot."""


class Comment(TypedDict):
    """A stored comment, as it is listed: id is a UUIDv7, created_at RFC 3339 in UTC; held only while it is not."""

    id: str
    content_id: int
    email: str
    comment: str
    created_at: str
    held: NotRequired[bool]


def _whole_number(value: Any) -> Any:
    """Take 7.0 for 7, as JSON and its schemas do: they know numbers, not how one is written."""
    return int(value) if type(value) is float and value.is_integer() else value


def _email(value: str) -> str:
    if NOT_IN_EMAIL.search(value):
        raise ValueError("must not contain spaces or control characters")
    local_part, separator, domain = value.partition("@")
    if not separator or not local_part or not domain or "@" in domain:
        raise ValueError("must be an address with one @, such as alice@example.com")
    if len(local_part) > MAX_EMAIL_LOCAL_PART:
        raise ValueError(f"must have at most {MAX_EMAIL_LOCAL_PART} characters before the @")
    return value


def _comment(value: str) -> str:
    value = value.strip()
    if not value:
        raise ValueError("must not be empty")
    if len(value) > MAX_COMMENT:
        raise ValueError(f"must have at most {MAX_COMMENT} characters, has {len(value)}")
    if control := NOT_IN_COMMENT.search(value):
        raise ValueError(f"must not contain the control character U+{ord(control[0]):04X}")
    return value


class NewComment(BaseModel):
    """A comment as it is posted, checked; the comment's text is trimmed, nothing else is changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    content_id: Annotated[int, Field(ge=1, le=MAX_CONTENT_ID), BeforeValidator(_whole_number)]
    email: Annotated[
        str, Field(max_length=MAX_EMAIL, json_schema_extra={"pattern": EMAIL_PATTERN}), AfterValidator(_email)
    ]
    comment: Annotated[
        str,
        Field(json_schema_extra={"pattern": COMMENT_PATTERN, "minLength": 1, "maxLength": MAX_COMMENT}),
        AfterValidator(_comment),
    ]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a request's body; raises InvalidRequest, which names each wrong field or the line of a syntax error."""
        try:
            given: Any = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidRequest(FieldError(field="body", message=f"not valid JSON: {error}")) from None
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise InvalidRequest(*map(_field_error, error.errors(include_url=False, include_input=False))) from None

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


def _field_error(error: Any) -> FieldError:
    if not error["loc"]:
        return FieldError(field="body", message="must be a JSON object with content_id, email and comment")
    message = {
        "missing": "is required",
        "extra_forbidden": "is not a field of a comment",
        "value_error": str(error.get("ctx", {}).get("error", "")),
        "int_type": "must be an integer",
        "string_type": "must be a string",
        "greater_than_equal": "must be at least 1",
        "less_than_equal": f"must be at most {MAX_CONTENT_ID}",
        "string_too_long": f"must have at most {MAX_EMAIL} characters",
    }.get(error["type"], error["msg"])
    name = str(error["loc"][0])[:100] or '""'  # a key may be empty, what names it may not
    return FieldError(field=name, message=message)


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
