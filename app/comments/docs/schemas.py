"""What goes over the wire, as JSON Schema."""

from typing import Any

from comments.errors import STATUS_WORDS
from comments.models import MAX_COMMENT, MAX_CONTENT_ID, MAX_EMAIL, MAX_EMAIL_LOCAL_PART

Json = dict[str, Any]

ID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

_CONTROL = "\\u0000-\\u001f\\u007f-\\u009f"
_SPACE = "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
EMAIL_PATTERN = f"^[^@{_CONTROL}{_SPACE}]{{1,{MAX_EMAIL_LOCAL_PART}}}@[^@{_CONTROL}{_SPACE}]+$"
COMMENT_PATTERN = (
    "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*"
    f"[^{_CONTROL}{_SPACE}]"
    "[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$"
)
"""What a comment is checked for, as far as a pattern can tell it to others: the service says what is wrong."""

STRING: Json = {"type": "string"}
ID = STRING | {"pattern": ID_PATTERN, "examples": ["01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"]}
CONTENT_ID: Json = {"type": "integer", "minimum": 1, "maximum": MAX_CONTENT_ID, "examples": [1]}
EMAIL = STRING | {"examples": ["alice@example.com"]}
TEXT = STRING | {"examples": ["first post!"]}
TIME = STRING | {"format": "date-time", "examples": ["2026-11-24T08:29:23.614Z"]}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def const(value: str | bool) -> Json:
    return {"type": "boolean" if isinstance(value, bool) else "string", "const": value}


def array(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def record(description: str, properties: Json, *, optional: tuple[str, ...] = ()) -> Json:
    """Describe an object: what is not here, it does not have."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def outcome(status: str, description: str) -> Json:
    return record(description, {"status": const(status), "message": STRING, "id": ID})


STORED = {"id": ID, "content_id": CONTENT_ID, "email": EMAIL, "comment": TEXT, "created_at": TIME}

SCHEMAS: Json = {
    "NewComment": record(
        "A comment as it is posted; its text is trimmed, nothing else is changed.",
        {
            "content_id": CONTENT_ID,
            "email": EMAIL | {"maxLength": MAX_EMAIL, "pattern": EMAIL_PATTERN},
            "comment": TEXT | {"minLength": 1, "maxLength": MAX_COMMENT, "pattern": COMMENT_PATTERN},
        },
    ),
    "Comment": record("A listed comment. A setting may mask the email, or leave it out.", STORED, optional=("email",)),
    "HeldComment": record("A comment that waits for the moderator's approval.", STORED | {"held": const(True)}),
    "Created": outcome("SUCCESS", "The comment is kept and listed."),
    "Held": outcome("HELD", "The comment is kept, and listed once the moderator has approved it."),
    "Done": outcome("SUCCESS", "The moderator's act is done."),
    "Alive": record("The process is alive.", {"status": const("OK")}),
    "FieldError": record(
        "One thing that is wrong with one field; `field` is `body`, or the name of a key, parameter or header.",
        {"field": STRING, "message": STRING},
    ),
    "Error": record(
        "Whatever is not a success; `status` is a word for each kind of it.",
        {
            "status": {"type": "string", "enum": sorted({*STATUS_WORDS.values(), "INVALID"})},
            "message": STRING,
            "errors": array(ref("FieldError"), minItems=1),
        },
        optional=("errors",),
    ),
    "Store": record(
        "Whether the store answers, and how soon.",
        {
            "status": {"type": "string", "enum": ["OK", "UNAVAILABLE"]},
            "milliseconds": {"type": "number"},
            "reason": or_null(STRING),
        },
    ),
    "Message": record(
        "The operator's word on how the service is doing.", {"id": ID, "comment": TEXT, "created_at": TIME}
    ),
    "Status": record(
        "What runs, and whether its store answers.",
        {
            "status": {"type": "string", "enum": ["OK", "DEGRADED"]},
            "version": STRING,
            "commit": or_null(STRING),
            "digest": or_null(STRING),
            "region": or_null(STRING),
            "started_at": TIME,
            "store": ref("Store"),
            "messages": array(ref("Message")),
            "messages_read_at": or_null(TIME),
        },
    ),
}
