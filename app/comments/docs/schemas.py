"""What goes over the wire, as JSON Schema that pydantic makes of these types."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from comments.errors import STATUS_WORDS
from comments.models import MAX_CONTENT_ID, NewComment

ID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"])]
ContentId = Annotated[int, Field(ge=1, le=MAX_CONTENT_ID, examples=[1])]
Email = Annotated[str, Field(examples=["alice@example.com"])]
Text = Annotated[str, Field(examples=["first post!"])]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-24T08:29:23.614Z"])]


class Body(BaseModel):
    """An answer: what is not here, it does not have."""

    model_config = ConfigDict(extra="forbid")


class Comment(Body):
    """A listed comment. A setting may mask the email, or leave it out."""

    id: Id
    content_id: ContentId
    email: Annotated[Email, Field(default="")]
    comment: Text
    created_at: Time


class HeldComment(Body):
    """A comment that waits for the moderator's approval."""

    id: Id
    content_id: ContentId
    email: Email
    comment: Text
    created_at: Time
    held: Literal[True]


class Created(Body):
    """The comment is kept and listed."""

    status: Literal["SUCCESS"]
    message: str
    id: Id


class Held(Body):
    """The comment is kept, and listed once the moderator has approved it."""

    status: Literal["HELD"]
    message: str
    id: Id


class Done(Body):
    """The moderator's act is done."""

    status: Literal["SUCCESS"]
    message: str
    id: Id


class Alive(Body):
    """The process is alive."""

    status: Literal["OK"]


class FieldError(Body):
    """One thing that is wrong with one field; `field` is `body`, or the name of a key, parameter or header."""

    field: str
    message: str


class Error(Body):
    """Whatever is not a success; `status` is a word for each kind of it."""

    status: Annotated[str, Field(json_schema_extra={"enum": sorted({*STATUS_WORDS.values(), "INVALID"})})]
    message: str
    errors: Annotated[list[FieldError], Field(default=[], min_length=1)]


class Store(Body):
    status: Literal["OK", "UNAVAILABLE"]
    milliseconds: float
    reason: str | None


class Message(Body):
    """The operator's word on how the service is doing."""

    id: Id
    comment: Text
    created_at: Time


class Status(Body):
    """What runs, and whether its store answers."""

    status: Literal["OK", "DEGRADED"]
    version: str
    commit: str | None
    digest: str | None
    region: str | None
    started_at: Time
    store: Store
    messages: list[Message]
    messages_read_at: Time | None


MODELS = (NewComment, Comment, HeldComment, Created, Held, Done, Alive, Error, Status)


def components() -> dict[str, Any]:
    _, schemas = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = schemas["$defs"]
    for schema in found.values():
        schema.pop("title", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
            field.pop("default", None)  # an answer's field that may be missing has no default
    return found
