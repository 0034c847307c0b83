"""Rules of fields: validation and the OpenAPI document accept the same values."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from comments.fields import AuthorToken, CommentId, CursorText, Email, IdempotencyKey, Name, Text

CHARACTERS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("@a \n\t\r\u200b\ufeff\u3164\U000e0041\u2028.")),
    max_size=80,
)
ALMOST = st.tuples(CHARACTERS, st.sampled_from(["@", "", "a@b", "a" * 64]), CHARACTERS).map("".join)
HEX = st.from_regex(
    r"\A[0-9a-f]{8}-[0-9a-f]{4}-[67][0-9a-f]{3}-[7-9a-c][0-9a-f]{3}-[0-9a-f]{11,12}(\.[0-9a-f]{15})?\n?\Z"
)
ASCII = st.text(st.characters(max_codepoint=130), max_size=260)

VALUES: dict[str, tuple[Any, st.SearchStrategy[str]]] = {
    "email": (Email, ALMOST),
    # White space around them is removed before they are validated.
    "comment": (Text, ALMOST.map(str.strip)),
    "name": (Name, ALMOST.map(str.strip)),
    "id": (CommentId, HEX),
    "after": (CursorText, HEX),
    "Author-Token": (AuthorToken, ASCII),
    "Idempotency-Key": (IdempotencyKey, ASCII),
}
"""Types of fields, and values to try."""
ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, (kind, _) in VALUES.items()}
SCHEMAS = {name: adapter.json_schema() for name, adapter in ADAPTERS.items()}


@pytest.mark.parametrize("name", VALUES)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_validation_and_the_document_agree(name: str, data: st.DataObject) -> None:
    value, schema = data.draw(VALUES[name][1]), SCHEMAS[name]
    # JSON schema has no $ that also matches before a final line break, unlike Python.
    pattern = schema["pattern"].removesuffix("$") + r"\Z"
    fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    documented = fits and re.search(pattern, value) is not None
    try:
        ADAPTERS[name].validate_python(value)
    except ValidationError:
        assert not documented
    else:
        assert documented
