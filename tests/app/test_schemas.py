"""Rules of fields: validation and the OpenAPI document accept the same values."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from comments.schemas import CommentId, Email, PageQuery, RequestHeaders, Text

CHARACTERS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("@a \n\t\r\u200b\ufeff\u3164\U000e0041\u2028.")),
    max_size=80,
)
ALMOST = st.tuples(CHARACTERS, st.sampled_from(["@", "", "a@b", "a" * 64]), CHARACTERS).map("".join)
HEX = st.from_regex(
    r"\A[0-9a-f]{8}-[0-9a-f]{4}-[67][0-9a-f]{3}-[7-9a-c][0-9a-f]{3}-[0-9a-f]{11,12}(\.[0-9a-f]{15})?\n?\Z"
)
ASCII = st.text(st.characters(max_codepoint=130), max_size=260)

# The type, its JSON schema, and values to try.
FIELDS: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "email": (Email, TypeAdapter(Email).json_schema(), ALMOST),
    # White space around the text is removed before it is validated.
    "comment": (Text, TypeAdapter(Text).json_schema(), ALMOST.map(str.strip)),
    "id": (CommentId, TypeAdapter(CommentId).json_schema(), HEX),
    "after": (PageQuery, PageQuery.model_json_schema()["properties"]["after"], HEX),
    "Idempotency-Key": (RequestHeaders, RequestHeaders.model_json_schema()["properties"]["idempotency_key"], ASCII),
}


@pytest.mark.parametrize("name", FIELDS)
@settings(deadline=None, max_examples=500)
@given(data=st.data())
def test_validation_and_the_document_agree(name: str, data: st.DataObject) -> None:
    kind, schema, values = FIELDS[name]
    value = data.draw(values)
    # JSON schema has no $ that also matches before a final line break, unlike Python.
    pattern = schema["pattern"].removesuffix("$") + r"\Z"
    documented = re.search(pattern, value) is not None and schema.get("minLength", 0) <= len(value) <= schema.get(
        "maxLength", len(value)
    )
    body = {"after": value} if name == "after" else {"idempotency_key": value} if name == "Idempotency-Key" else value
    try:
        TypeAdapter(kind).validate_python(body)
    except ValidationError:
        assert not documented
    else:
        assert documented
