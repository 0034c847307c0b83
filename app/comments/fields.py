"""Types of single values, and what is valid: for requests, settings, imports and the OpenAPI document."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, TypeAdapter

from comments import canonical

MAX_CONTENT_ID = 2**53 - 1
"""Largest integer that JavaScript represents exactly."""

MAX_EMAIL, MAX_EMAIL_LOCAL_PART = 254, 64
"""Characters of an address, and of the part before the @ (RFC 5321, section 4.5.3.1)."""

MAX_COMMENT = 10_000
MAX_NAME = 50
MAX_LIMIT = 1_000
MAX_SEARCH = 100

KEY = r"[!-~]{1,255}"
AUTHOR_TOKEN = r"[!-~]{22,128}"  # noqa: S105  # a pattern
"""22 random characters of base64 have 128 bits."""
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
CURSOR = rf"{ID}(\.[0-9a-f]{{15}})?"
"""The id of a comment, optionally followed by a floor (see paging.py)."""

_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_SPACE = r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CONTROL_IN_COMMENT = r"\u0000-\u0008\u000b-\u001f\u007f-\u009f"
# Unicode's Default_Ignorable_Code_Point, and the empty Braille pattern. The last two ranges are literal characters:
# JSON schema and Python write escapes of these code points differently.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8" + "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
NOT_IN_COMMENT = re.compile(rf"[{_CONTROL_IN_COMMENT}]")
VISIBLE = re.compile(rf"[^{_CONTROL}{_SPACE}{_INVISIBLE}]")


def _number(value: Any) -> Any:
    """Reject strings and booleans, which pydantic would convert. 7.0 is accepted: in JSON it equals 7.

    From 2^52, a float is always whole, so a fraction that parsing has rounded would go unnoticed.
    """
    if isinstance(value, str | bool) or (isinstance(value, float) and value > MAX_CONTENT_ID / 2):
        raise ValueError("must be an integer")  # pydantic expects ValueError
    return value


def matches(pattern: str, message: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _text(text: str) -> str:
    if control := NOT_IN_COMMENT.search(text):
        raise ValueError(f"must not contain the control character U+{ord(control[0]):04X}")
    return _visible(text)


def _visible(text: str) -> str:
    if not VISIBLE.search(text):
        raise ValueError("must contain a visible character")
    return text


def _page(page: str) -> str:
    """Limit the shorter one: a browser escapes each byte as three characters, and `normalize` escapes each %."""
    normalized = canonical.normalize(page)
    if min(len(page.encode()), len(normalized.encode())) > canonical.MAX_PAGE:
        raise ValueError(f"must have at most {canonical.MAX_PAGE} bytes")
    return normalized


_EMAIL = rf"^[^@{_CONTROL}{_SPACE}]{{1,{MAX_EMAIL_LOCAL_PART}}}@[^@{_CONTROL}{_SPACE}]+$"
_COMMENT = rf"^[^{_CONTROL_IN_COMMENT}]*{VISIBLE.pattern}[^{_CONTROL_IN_COMMENT}]*$"
"""Patterns for the JSON schema. Validation checks one property at a time, because its errors give the reason; a test
shows that both accept the same values."""

# Numbers in URLs. Pydantic would also accept 007 and 1_0.
_DIGITS = BeforeValidator(matches(r"[1-9][0-9]{0,15}", "must be a number without leading zeros").func)
_THREAD_NUMBER = BeforeValidator(
    matches(r"[1-9][0-9]{0,15}", f"must be the number of a thread: 1 to {MAX_CONTENT_ID}, without leading zeros").func
)
ThreadNumber = Annotated[int, Field(ge=1, le=MAX_CONTENT_ID), _THREAD_NUMBER]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT), _DIGITS]
ContentId = Annotated[int, Field(ge=1, le=MAX_CONTENT_ID, examples=[1]), BeforeValidator(_number)]
Email = Annotated[
    str,
    Field(max_length=MAX_EMAIL, examples=["alice@example.com"], json_schema_extra={"pattern": _EMAIL}),
    matches(rf"[^{_CONTROL}{_SPACE}]*", "must not contain spaces or control characters"),
    matches(r"[^@]+@[^@]+", "must be an address with one @, such as alice@example.com"),
    matches(
        rf"[^@]{{1,{MAX_EMAIL_LOCAL_PART}}}@.*", f"must have at most {MAX_EMAIL_LOCAL_PART} characters before the @"
    ),
]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_COMMENT),
    Field(examples=["first post!"], json_schema_extra={"pattern": _COMMENT}),
    AfterValidator(_text),
]
_NAME = rf"^[^{_CONTROL}]*{VISIBLE.pattern}[^{_CONTROL}]*$"
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME),
    Field(examples=["Alice"], json_schema_extra={"pattern": _NAME}),
    matches(rf"[^{_CONTROL}]*", "must not contain control characters"),
    AfterValidator(_visible),
]
_IS_PAGE = matches(canonical.PAGE, "must be a path such as /posts/hello, or an http(s) URL with a host in ASCII")
Page = Annotated[
    str,
    Field(
        max_length=3 * canonical.MAX_PAGE,
        examples=["/posts/hello"],
        json_schema_extra={"pattern": f"^{canonical.PAGE}$"},
    ),
    _IS_PAGE,
    AfterValidator(_page),
]
StoredPage = Annotated[str, _IS_PAGE, AfterValidator(canonical.normalize)]
"""A canonical form may be longer than what a visitor sent."""
CommentId = Annotated[
    str,
    matches(ID, "must be the id of a comment"),
    Field(examples=["01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"], json_schema_extra={"pattern": f"^{ID}$"}),
]
CursorText = Annotated[
    str,
    matches(CURSOR, "must be a cursor from a Link header or the id of a comment"),
    Field(json_schema_extra={"pattern": f"^{CURSOR}$"}),
]
Timestamp = Annotated[str, Field(examples=["2026-11-24T08:29:23.614Z"], json_schema_extra={"format": "date-time"})]

IdempotencyKey = Annotated[
    str,
    matches(KEY, "must be 1 to 255 visible ASCII characters without spaces"),
    Field(json_schema_extra={"pattern": f"^{KEY}$", "minLength": 1, "maxLength": 255}),
]
AuthorToken = Annotated[
    str,
    matches(AUTHOR_TOKEN, "must be 22 to 128 visible ASCII characters without spaces"),
    Field(json_schema_extra={"pattern": f"^{AUTHOR_TOKEN}$", "minLength": 22, "maxLength": 128}),
]

PATH_VARIABLES: dict[str, TypeAdapter[Any]] = {
    "content_id": TypeAdapter(ThreadNumber),
    "comment_id": TypeAdapter(CommentId),
}
"""By their names in routes."""
