"""Generated bodies: each is a valid comment, or is rejected with an error that names the field."""

import json
import unicodedata

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from comments.app import parse_json
from comments.errors import InvalidRequest, field_errors
from comments.schemas import MAX_COMMENT, MAX_CONTENT_ID, MAX_EMAIL, NewComment

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
suspicious = {
    "content_id": st.integers(MAX_CONTENT_ID - 1, MAX_CONTENT_ID + 1) | json_values,
    "email": st.text("a@b. \n\x85\u00a0", max_size=5)
    | st.builds(lambda local, domain: f"{'a' * local}@{'b' * domain}", st.integers(60, 68), st.integers(180, 200)),
    "comment": st.text(st.characters(max_codepoint=0xA0), max_size=4) | json_values,
    "other": json_values,
}
bodies = st.sampled_from(sorted(suspicious)).flatmap(
    lambda field: suspicious[field].map(
        lambda value: {"content_id": 1, "email": "a@b", "comment": "x"} | {field: value}
    )
)
"""Comments of which one field may be invalid."""


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400) | (bodies | json_values).map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_comment_or_rejected_by_name(body: bytes) -> None:
    try:
        new = NewComment.model_validate(parse_json(body))
    except (InvalidRequest, ValidationError) as error:
        errors = error.errors if isinstance(error, InvalidRequest) else field_errors(error)
        assert errors
        assert all(each["field"] and each["message"] for each in errors)
        assert orjson.dumps(errors)
        return
    assert 1 <= new.content_id <= MAX_CONTENT_ID
    assert new.email.count("@") == 1
    assert len(new.email) <= MAX_EMAIL
    assert 1 <= len(new.comment) <= MAX_COMMENT
    assert new.comment == new.comment.strip()
    characters = set(new.email) | (set(new.comment) - {"\n", "\t"})
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in characters)
