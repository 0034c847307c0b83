"""Request and response models. Validation and the OpenAPI document both come from them."""

from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

from flask import request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from comments import canonical, ids
from comments.fields import (
    MAX_LIMIT,
    MAX_SEARCH,
    AuthorToken,
    CommentId,
    ContentId,
    CursorText,
    Email,
    IdempotencyKey,
    Limit,
    Name,
    Page,
    Text,
    ThreadNumber,
    Timestamp,
)


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
    idempotency_key: IdempotencyKey = Field(
        default_factory=str,
        description="Send the same key with each retry: within 24 hours, the comment is stored once.",
    )
    author_token: AuthorToken = Field(
        default_factory=str, description="A secret of the author's choice, with which the comment can be changed later."
    )


class AuthorHeaders(Model, extra="ignore"):
    author_token: AuthorToken = Field(description="The token with which the comment was posted.")


class PageQuery(Model):
    limit: Limit = Field(MAX_LIMIT, description="Maximum number of comments. A page also ends at about 1 MB.")
    after: CursorText = Field(
        default_factory=str,
        description="An opaque cursor from a Link header, or a comment id; the page starts after it.",
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
    notifications: list[NotificationStatus] = Field(description="State of each target of notifications.")
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
