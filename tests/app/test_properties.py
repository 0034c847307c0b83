"""Thousands of generated requests and bodies: every answer is one that the API's own description promises."""

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comments.errors import InvalidRequest
from comments.models import MAX_COMMENT, MAX_CONTENT_ID, NewComment
from tests.app.conftest import ROOT

TOKEN = "a-token-that-nobody-guesses"
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
HERE = Path(__file__).parent


# Each phase has an empty store of its own: what one has stored makes the next one's answers long, not its cases better.
PHASES = {"coverage": (1, 200), "fuzzing": (150, 500), "stateful": (60, 100)}
"""The examples for each operation, and the cases that must come of them, so that a run of nothing is no success."""


@pytest.mark.parametrize("phase", PHASES)
def test_schemathesis_finds_nothing(serve, store_url, tmp_path, phase):
    examples, at_least = PHASES[phase]
    held = "on" if phase == "stateful" else "off"
    server = serve(COMMENTS_STORE=store_url, COMMENTS_MODERATOR_TOKEN=TOKEN, COMMENTS_MODERATION=held)
    command = [SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{server.url}/openapi.json"]
    options = ["--checks", "all", "--phases", phase, "--max-examples", str(examples), "--seed", "1"]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [*command, *options], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    print(store_url.partition(":")[0], ran.stdout)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    generated = re.search(r"(\d+) generated", ran.stdout)
    assert generated
    assert int(generated[1]) >= at_least
    assert '"level":"error"' not in server.log.read_text()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
nearly = st.fixed_dictionaries(
    {},
    optional={
        "content_id": st.integers(-1, MAX_CONTENT_ID + 2) | json_values,
        "email": st.from_regex(r"[^@]{0,66}@?[^@]{0,20}", fullmatch=True) | json_values,
        "comment": st.text(max_size=200) | json_values,
        "other": json_values,
    },
)


def parsed(body: bytes) -> NewComment | None:
    """Parse, or hold the refusal to its promise; any other exception fails the test."""
    try:
        return NewComment.parse(body)
    except InvalidRequest as error:
        refused = error
    assert refused.errors
    assert all(error["field"] and error["message"] for error in refused.errors)
    orjson.dumps([refused.message, refused.errors])  # raises if it could not be answered
    return None


def is_sound(new: NewComment) -> None:
    assert 1 <= new.content_id <= MAX_CONTENT_ID
    assert type(new.content_id) is int
    assert new.email.count("@") == 1
    assert len(new.email) <= 254
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in new.email)
    assert 1 <= len(new.comment) <= MAX_COMMENT
    assert new.comment == new.comment.strip()
    letters = set(new.comment) - {"\n", "\t"}
    assert not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in letters)


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=400))
@example(b"\xed\xa0\x80")
@example(b'{"content_id": 1, "content_id": 1}')
@example(b"[" * 60_000)
def test_any_bytes_are_a_comment_or_refused_by_name(body):
    if new := parsed(body):
        is_sound(new)


@settings(max_examples=2000, deadline=None)
@given(nearly | json_values)
def test_any_json_is_a_sound_comment_or_refused_by_name(value):
    if new := parsed(json.dumps(value).encode()):  # Python's writer makes NaN and lone surrogates, as a client could
        is_sound(new)


@settings(max_examples=1000, deadline=None)
@given(
    content_id=st.integers(1, MAX_CONTENT_ID),
    email=st.from_regex(r"[a-z0-9.+_-]{1,64}@[a-z0-9.-]{1,180}", fullmatch=True),
    comment=st.text(
        st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t"), min_size=1, max_size=300
    ),
)
def test_every_legal_comment_is_taken_as_it_is(content_id, email, comment):
    body = orjson.dumps({"content_id": content_id, "email": email, "comment": comment})
    new = parsed(body)
    assert (new is None) == (not comment.strip())
    if new:
        assert (new.content_id, new.email, new.comment) == (content_id, email, comment.strip())
