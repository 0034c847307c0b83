"""The record of a comment: as it is stored, and as a visitor posts it."""

from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from comments import canonical, ids
from comments.fields import CommentId, ContentId, Email, Name, Page, Text


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


class Model(BaseModel, extra="forbid", hide_input_in_errors=True):
    """Without hide_input_in_errors, a logged ValidationError would contain what the visitor sent."""


class Author(NamedTuple):
    """Who posts a comment, apart from what the comment says: with a token of their choice, or as the moderator."""

    token_hash: str = ""
    moderator: bool = False


ANYONE = Author()


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
