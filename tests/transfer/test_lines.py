"""Lines are read as strictly as the API reads a post, and none is lost in silence."""

import base64
import json
import time

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from comments.errors import InvalidRequest
from comments.ids import TICKS, id_at
from comments.models import MAX_COMMENT, NewComment
from comments.transfer.lines import dump, read_line
from tests.transfer.conftest import export, fail, fill, run, some_comments

GOOD = some_comments(1)[0] | {"content_id": 1, "comment": "good"}


def line(**changes):
    comment = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return json.dumps(comment).encode()


BAD = [
    (line(id="01a20cac-8b1e-4c9d-9d3f-5b0c3b6f1a52"), "id", "must be a UUIDv7"),
    (line(id=GOOD["id"].upper()), "id", "must be a UUIDv7"),
    (line(id=...), "id", "is required"),
    (line(id=id_at(int((time.time() + 10**6) * 1000) * TICKS)), "id", "lies in the future"),
    (line(created_at="2026-06-31T00:00:00.000Z"), "created_at", "must be a time such as"),
    (line(created_at="2026-06-30T00:00:00Z"), "created_at", "must be a time such as"),
    (line(created_at=1), "created_at", "must be a string"),
    (line(held="yes"), "held", "boolean"),
    (line(content_id=0), "content_id", "must be at least 1"),
    (line(content_id="1"), "content_id", "must be an integer"),
    (line(email="alice"), "email", "must be an address with one @"),
    (line(comment="x" * (MAX_COMMENT + 1)), "comment", "must have at most 10000 characters, has 10001"),
    (line(comment="a\x00b"), "comment", "control character U+0000"),
    (line(comment="  "), "comment", "must not be empty"),
    (line(author="me"), "author", "is not a field"),
    (b"", "body", "not valid JSON"),
    (b"[1]", "body", "must be a JSON object"),
    (b"[" * 100_000, "body", "not valid JSON"),
    (line()[:-1] + b',"email":"b@example.com"}', "body", "not valid JSON"),
    (line().replace(b"good", b"\xff"), "body", "not valid JSON"),
    (line().replace(b"good", b"\\ud800"), "body", "not valid JSON"),
]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/comments.db"


def test_an_import_stops_at_the_first_bad_line_and_names_it_and_the_field(store_url):
    fill(store_url, [])
    comments = some_comments(3)
    data = [json.dumps(comment).encode() for comment in comments]
    said = fail("import", "-", "--store", store_url, stdin=b"\n".join([*data[:2], line(email="x"), data[2]]))
    assert said.startswith("error: line 3: email: must be an address with one @")
    assert "2 imported, 0 already there before it" in said
    assert len(export(store_url).splitlines()) == 2


def test_every_bad_line_is_in_the_report_in_whole_with_its_field_and_reason(url, tmp_path):
    report = tmp_path / "bad.jsonl"
    data = b"".join(bad + b"\n" for bad, _, _ in BAD) + line() + b"\n"
    for end in ("1 imported, 0 already there", "0 imported, 1 already there"):
        status, _, err = run("import", "-", "--store", url, "--skip-bad", report, stdin=data)
        assert status == 3
        assert err.splitlines()[-2:] == [
            end,
            f"{len(BAD)} were NOT imported: {report} lists each of them with the reason",
        ]
    reported = [json.loads(each) for each in report.read_bytes().splitlines()[1:]]
    assert len(reported) == len(BAD)
    for number, ((bad, field, reason), found) in enumerate(zip(BAD, reported, strict=True), start=1):
        assert found["line"] == number
        assert found["errors"][0]["field"] == field
        assert reason in found["errors"][0]["message"]
        assert (found["text"].encode() if "text" in found else base64.b64decode(found["base64"])) == bad
    assert len(export(url).splitlines()) == 1


def test_no_report_is_left_where_nothing_is_bad(url, tmp_path):
    report = tmp_path / "bad.jsonl"
    assert run("import", "-", "--store", url, "--skip-bad", report, stdin=b"x\n")[0] == 3
    assert run("import", "-", "--store", url, "--skip-bad", report, stdin=line())[0] == 0
    assert not report.exists()


def test_a_report_never_replaces_another_file(url, tmp_path):
    exported = tmp_path / "comments.jsonl"
    exported.write_bytes(line())
    assert "is not a report" in fail("import", exported, "--store", url, "--skip-bad", exported)
    assert exported.read_bytes() == line()


def test_an_id_in_two_threads_is_kept_in_both(store_url):
    fill(store_url, [])
    data = b"\n".join([line(content_id=1), line(content_id=2), line(content_id=1)])
    status, _, err = run("import", "-", "--store", store_url, stdin=data)
    assert status == 0
    assert "2 imported, 1 already there" in err
    assert sorted(json.loads(each)["content_id"] for each in export(store_url).splitlines()) == [1, 2]


@given(st.text(min_size=1, max_size=200))
def test_whatever_may_be_posted_is_read_as_it_was_written(text):
    body = orjson.dumps({"content_id": 1, "email": "a@example.com", "comment": text})
    try:
        comment = NewComment.parse(body).stored(GOOD["id"], GOOD["created_at"], held=bool(len(text) % 2))
    except InvalidRequest:
        assume(False)
    assert read_line(dump([comment]), 1) == comment
    assert dump([comment]).count(b"\n") == 1


def test_a_last_line_that_was_cut_off_is_called_that(url):
    said = fail("import", "-", "--store", url, stdin=line() + b"\n" + line()[:50])
    assert said.startswith("error: line 2: body: not valid JSON")
    assert "the file may have been cut off" in said


def test_what_is_no_text_of_lines_is_not_read_into_memory(url, tmp_path):
    with (tmp_path / "zeros").open("wb") as sparse:
        sparse.truncate(2**33)
    said = fail("import", tmp_path / "zeros", "--store", url, "--skip-bad", tmp_path / "bad")
    assert "line 1 is longer than 1048576 bytes" in said


def test_a_message_cannot_steer_the_terminal(url):
    said = fail("import", "-", "--store", url, stdin=line(**{"\x1b[2J\n": 1}))
    assert "\x1b" not in said
    assert "?[2J?: is not a field" in said
