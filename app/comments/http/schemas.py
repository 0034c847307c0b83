"""Request and response models. Validation and the OpenAPI document both come from them."""

from typing import Annotated, Any, Literal

from flask import request
from pydantic import BeforeValidator, Field, StringConstraints

from comments.comment import Model
from comments.fields import (
    MAX_LIMIT,
    MAX_SEARCH,
    AuthorToken,
    CommentId,
    ContentId,
    CursorText,
    IdempotencyKey,
    Limit,
    Page,
    Text,
    ThreadNumber,
    Timestamp,
)


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
