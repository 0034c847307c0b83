"""Request and response models. Validation and the OpenAPI document both come from them."""

import re
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from comments import canonical, ids

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


class Comment(TypedDict):
    """A stored comment: id is a UUIDv7, times are RFC 3339 in UTC. Optional keys are absent if they have no value.

    Stores keep other keys as well: a later release may have written them.
    """

    id: str
    content_id: int
    page: NotRequired[str]
    """Canonical address of the page, if the comment was posted to one."""
    name: NotRequired[str]
    email: NotRequired[str]
    comment: str
    created_at: str
    edited_at: NotRequired[str]
    parent: NotRequired[str]
    """id of the comment that this one replies to. It may have been deleted since."""
    author: NotRequired[str]
    """SHA-256 of the author's token; never in a response."""
    moderator: NotRequired[bool]
    held: NotRequired[bool]
    """Present only before approval."""


KEYS = tuple(Comment.__annotations__)


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


ABSENT: Any = object()
"""Default of fields that may only be absent if another one is present."""


def _unless(other: str, absent: Any, *, exclusive: bool = False) -> WrapValidator:
    """Require a field unless the other one, which is validated before, is present."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if value is ABSENT:
            if not info.data.get(other, "invalid"):
                raise PydanticCustomError("missing", "is required")
            return absent
        if exclusive and info.data.get(other):
            raise ValueError(f"must be absent if there is a {other}")
        return handler(value)

    return WrapValidator(validate)


def _page(page: str) -> str:
    if len(page.encode()) > canonical.MAX_PAGE:
        raise ValueError(f"must have at most {canonical.MAX_PAGE} bytes")
    return canonical.normalize(page)


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
Page = Annotated[
    str,
    Field(
        max_length=canonical.MAX_PAGE,
        examples=["/posts/hello"],
        json_schema_extra={"pattern": f"^{canonical.PAGE}$"},
    ),
    matches(canonical.PAGE, "must be a path such as /posts/hello, or an http(s) URL"),
    AfterValidator(_page),
]
CommentId = Annotated[
    str,
    matches(ID, "must be the id of a comment"),
    Field(examples=["01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"], json_schema_extra={"pattern": f"^{ID}$"}),
]
Timestamp = Annotated[str, Field(examples=["2026-11-24T08:29:23.614Z"], json_schema_extra={"format": "date-time"})]

AuthorToken = Annotated[
    str,
    matches(AUTHOR_TOKEN, "must be 22 to 128 visible ASCII characters without spaces"),
    Field(json_schema_extra={"pattern": f"^{AUTHOR_TOKEN}$", "minLength": 22, "maxLength": 128}),
]

PATH: dict[str, TypeAdapter[Any]] = {
    "content_id": TypeAdapter(ThreadNumber),
    "comment_id": TypeAdapter(CommentId),
}
"""The type of each variable in a route."""


class Model(BaseModel, extra="forbid", hide_input_in_errors=True):
    """Without hide_input_in_errors, a logged ValidationError would contain what the visitor sent."""


class Author(NamedTuple):
    """Who posts a comment, apart from what the comment says: with a token of their choice, or as the moderator."""

    token_hash: str = ""
    moderator: bool = False


ANYONE = Author()


def _one_of(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


# Optional fields have a default_factory: a default would be part of the JSON schema.
class NewComment(Model):
    """A comment as posted. White space around the text and the name is removed.

    It belongs to a page or to a thread that the site has numbered.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [_one_of("content_id", "page"), {"anyOf": [{"required": ["email"]}, {"required": ["name"]}]}],
            "examples": [
                {"name": "Alice", "email": "alice@example.com", "comment": "first post!", "page": "/posts/hello"}
            ],
        }
    )

    name: Name = Field(default_factory=str, description="Shown instead of the address.")
    email: Annotated[Email, _unless("name", "")] = Field(
        default_factory=lambda: ABSENT,
        validate_default=True,
        description="Required without a name. With a name, only the moderator sees it.",
    )
    comment: Text
    page: Page = Field(default_factory=str, description="Path or URL of the page, instead of content_id.")
    content_id: Annotated[ContentId, _unless("page", 0, exclusive=True)] = Field(
        default_factory=lambda: ABSENT, validate_default=True
    )
    parent: CommentId = Field(default_factory=str, description="id of the comment that this one replies to.")

    def model_post_init(self, _: Any, /) -> None:
        self.content_id = self.content_id or canonical.thread_of(self.page)

    def stored(self, comment_id: str, *, held: bool, by: Author = ANYONE) -> Comment:
        """Return the comment under an id, which also contains the time of its creation."""
        added = {"author": by.token_hash, "moderator": by.moderator, "held": held}
        return compact(self.model_dump() | {"id": comment_id, "created_at": ids.created_at(comment_id)} | added)


def compact(comment: Any) -> Comment:
    """Return a comment without the keys that have no value, in the order of Comment; other keys come last."""
    names = (*KEYS, *sorted(comment.keys() - set(KEYS)))
    compacted: Comment = {name: comment[name] for name in names if comment.get(name) not in ("", False, None)}  # type: ignore[assignment]  # mypy does not follow the keys
    return compacted


class EditedComment(Model):
    """The new text of a comment."""

    comment: Text


class RequestHeaders(Model, extra="ignore"):
    idempotency_key: Annotated[str, matches(KEY, "must be 1 to 255 visible ASCII characters without spaces")] = Field(
        default_factory=str,
        description="Send the same key with each retry: within 24 hours, the comment is stored once.",
        json_schema_extra={"pattern": f"^{KEY}$", "minLength": 1, "maxLength": 255},
    )
    author_token: AuthorToken = Field(
        default_factory=str, description="A secret of the author's choice, with which the comment can be changed later."
    )


class AuthorHeaders(Model, extra="ignore"):
    author_token: AuthorToken = Field(description="The token with which the comment was posted.")


class PageQuery(Model):
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), _DIGITS] = Field(
        MAX_LIMIT, description="Maximum number of comments. A page also ends at about 1 MB."
    )
    after: Annotated[str, matches(CURSOR, "must be a cursor from a Link header or the id of a comment")] = Field(
        default_factory=str,
        description="An opaque cursor from a Link header, or a comment id; the page starts after it.",
        json_schema_extra={"pattern": f"^{CURSOR}$"},
    )


class ThreadQuery(PageQuery):
    order: Literal["asc", "desc"] = Field("asc", description="asc: oldest first; desc: newest first.")


class PageThreadQuery(ThreadQuery):
    page: Page = Field(description="Path or URL of the page.")


MAX_COUNTED = 50
"""Threads, and pages, in a request for counts: both fit into one batch read of DynamoDB."""


def _all_values(name: str) -> BeforeValidator:
    """Read a repeated parameter, of which APIFlask passes only the first value."""
    return BeforeValidator(lambda _: request.args.getlist(name))


class CountQuery(Model):
    content_id: Annotated[list[ThreadNumber], _all_values("content_id")] = Field(
        default_factory=list, max_length=MAX_COUNTED, description="Numbers of threads."
    )
    page: Annotated[list[Page], _all_values("page")] = Field(
        default_factory=list, max_length=MAX_COUNTED, description="Paths or URLs of pages."
    )


class RecentQuery(PageQuery):
    text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_SEARCH)] = Field(
        default_factory=str,
        description=f"Search {MAX_LIMIT:,} comments per page for this text in name, address, page and comment.",
        json_schema_extra={"maxLength": MAX_SEARCH},
    )


class CommentOut(Model):
    """A published comment. The email address is absent if there is a name, or masked or absent by a setting."""

    id: CommentId
    content_id: ContentId
    page: str = Field(default_factory=str, description="Canonical address of the page.", examples=["/posts/hello"])
    name: str = Field(default_factory=str, examples=["Alice"])
    email: str = Field(default_factory=str, examples=["alice@example.com"])
    comment: str = Field(examples=["first post!"])
    created_at: Timestamp
    edited_at: Timestamp = Field(default_factory=str)
    parent: CommentId = Field(default_factory=str, description="It may have been deleted, or have a new id.")
    moderator: Literal[True] = Field(default_factory=lambda: True, description="Present if the moderator wrote it.")


class HeldComment(CommentOut):
    """A comment that awaits approval."""

    held: Literal[True]


class AnyComment(CommentOut):
    """A published comment, or one that awaits approval."""

    held: Literal[True] = Field(default_factory=lambda: True, description="Present if the comment awaits approval.")


class Count(Model):
    """The number of published comments in a thread."""

    content_id: ContentId
    page: str = Field(default_factory=str, description="Canonical address of the page.", examples=["/posts/hello"])
    count: int = Field(ge=0)


CommentList: Any = list[CommentOut]
CountList: Any = list[Count]
HeldList: Any = list[HeldComment]
RecentList: Any = list[AnyComment]
"""Any: APIFlask accepts a list of models, but its annotations do not."""


class Published(CommentOut):
    """The comment is stored and published."""

    status: Literal["SUCCESS"]
    message: str


class Held(HeldComment):
    """The comment is stored and awaits approval."""

    status: Literal["HELD"]
    message: str


class Deleted(Model):
    status: Literal["SUCCESS"]
    message: str
    id: CommentId


class Health(Model):
    status: Literal["OK"]


class StoreStatus(Model):
    status: Literal["OK", "UNAVAILABLE"]
    milliseconds: float
    reason: str | None


class NotificationStatus(Model):
    target: Literal["webhook", "mail"]
    status: Literal["OK", "FAILING"] = Field(description="FAILING: one has been undelivered for five minutes.")
    oldest: Timestamp | None = Field(description="Time of the oldest undelivered one.")


class Message(Model):
    id: CommentId
    comment: str
    created_at: Timestamp


class Status(Model):
    """The running version, the state of its store, and the operator's messages."""

    status: Literal["OK", "DEGRADED"]
    version: str
    commit: str | None
    digest: str | None
    region: str | None
    started_at: Timestamp
    store: StoreStatus
    notifications: list[NotificationStatus] = Field(description="Targets that hear of new comments.")
    messages: list[Message]
    messages_read_at: Timestamp | None


class Problem(Model):
    """An invalid field, parameter or header. `field` is "body" for errors of the body as a whole."""

    field: str
    message: str


class Error(Model):
    """All errors share this format."""

    status: str
    message: str
    errors: list[Problem] = Field(default_factory=list, min_length=1)
