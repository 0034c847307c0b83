"""Bad input: refused by name, never a 5xx, nothing stored."""

import json

import pytest

from comments import create_app
from comments.settings import Settings
from comments.store import open_store

GOOD = {"email": "alice@example.com", "comment": "hello", "content_id": 1}


@pytest.fixture
def client(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/comments.db")
    yield create_app(Settings(), store).test_client()
    store.close()


def refused(client, body, code=400, content_type="application/json"):
    """Post raw bytes and return the refusal, having checked its shape and that nothing was stored."""
    response = client.post("/api/comment/new", data=body, content_type=content_type)
    answer = response.get_json()
    assert response.status_code == code, answer
    assert response.content_type == "application/json"
    assert set(answer) <= {"status", "message", "errors"}
    assert client.get("/api/comment/list/1").status_code == 404
    return answer


@pytest.mark.parametrize("field", ["email", "comment", "content_id"])
def test_a_missing_field_is_named(client, field):
    body = {key: value for key, value in GOOD.items() if key != field}
    answer = refused(client, json.dumps(body))
    assert answer["status"] == "INVALID"
    assert answer["message"] == f"{field}: is required"
    assert answer["errors"] == [{"field": field, "message": "is required"}]


def test_every_wrong_field_is_named_at_once(client):
    answer = refused(client, json.dumps({"email": 1, "comment": "", "content_id": "1", "extra": None}))
    assert {error["field"] for error in answer["errors"]} == {"email", "comment", "content_id", "extra"}


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**53, 10**40, 1e40, 0.0, float(2**53), 1.5, True, None, "1", [1], {"a": 1}],
    ids=lambda value: repr(value)[:20],
)
def test_a_content_id_is_a_whole_number_that_javascript_can_hold(client, value):
    answer = refused(client, json.dumps(GOOD | {"content_id": value}))
    assert [error["field"] for error in answer["errors"]] == ["content_id"]


@pytest.mark.parametrize(
    "value",
    ["", "alice", "@example.com", "alice@", "a@b@c", "a b@example.com", "a\u00a0b@example.com", "a\x00@example.com",
     "a\n@example.com", "a" * 65 + "@example.com", "a@" + "b" * 253, None, 1],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_an_email_is_one_address(client, value):
    answer = refused(client, json.dumps(GOOD | {"email": value}))
    assert [error["field"] for error in answer["errors"]] == ["email"]


@pytest.mark.parametrize(
    "value", ["", " \n\t ", "x" * 10_001, "a\x00b", "a\x1bb", "a\rb", "a\x7fb", "a\x85b", None, 1, ["x"]],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_a_comment_is_text_of_bounded_length(client, value):
    answer = refused(client, json.dumps(GOOD | {"comment": value}))
    assert [error["field"] for error in answer["errors"]] == ["comment"]


@pytest.mark.parametrize(
    ("email", "comment"),
    [("a@b", "x"), ("\u00fc@\u00fc.example", "x" * 10_000), ("a" * 64 + "@" + "b" * 189, "\ufffd"),
     ('"q"@x.test', "1\n\t2")],
    ids=["shortest", "longest comment", "longest email", "newline and tab"],
)  # fmt: skip
def test_what_is_legal_at_the_limits_is_stored(client, email, comment):
    response = client.post("/api/comment/new", json=GOOD | {"email": email, "comment": comment})
    assert response.status_code == 200, response.get_json()
    (stored,) = client.get("/api/comment/list/1").get_json()
    assert (stored["email"], stored["comment"]) == (email, comment)


def test_a_whole_number_may_be_written_with_a_fraction_of_zero(client):
    response = client.post("/api/comment/new", data='{"email": "a@b", "comment": "x", "content_id": 1.0}',
                           content_type="application/json")  # fmt: skip
    assert response.get_json()["message"] == "comment created and associated with content_id 1"
    assert client.get("/api/comment/list/1").get_json()[0]["content_id"] == 1


def test_a_comment_is_trimmed(client):
    client.post("/api/comment/new", json=GOOD | {"comment": " \n hello \t"})
    assert client.get("/api/comment/list/1").get_json()[0]["comment"] == "hello"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"email": "a@b",}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"content_id": NaN}', b"{'a': 1}",
     b'{"content_id": 1, "content_id": 2}', b'{"comment": "\\ud800"}', b'{"comment": "\xed\xa0\x80"}', b"[" * 60_000,
     b'{"a":' * 10_000, b'{"comment": "a\x00b"}', b"{} {}"],
    ids=lambda body: repr(body)[:24],
)  # fmt: skip
def test_what_is_not_json_is_refused_as_the_body(client, body):
    answer = refused(client, body)
    assert [error["field"] for error in answer["errors"]] == ["body"]


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"[]", b"true"])
def test_json_that_is_no_object_is_refused_as_the_body(client, body):
    answer = refused(client, body)
    assert answer["errors"] == [
        {"field": "body", "message": "must be a JSON object with content_id, email and comment"}
    ]


def test_a_syntax_error_tells_its_line_and_column(client):
    answer = refused(client, b'{"email": "a@b",\n "comment": x}')
    assert "line 2 column 13" in answer["message"]


def test_a_body_that_is_too_large_is_refused(client):
    answer = refused(client, json.dumps(GOOD | {"comment": "x" * 70_000}), 413)
    assert answer == {"status": "TOO-LARGE", "message": "the body must have at most 65536 bytes"}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(client, content_type):
    answer = refused(client, json.dumps(GOOD), 415, content_type)
    assert answer["status"] == "UNSUPPORTED"
    assert "application/json" in answer["message"]


def test_a_charset_in_the_content_type_is_welcome(client):
    response = client.post("/api/comment/new", data=json.dumps(GOOD), content_type="application/json; charset=utf-8")
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/nothing", 404, "NOT-FOUND"),
        ("GET", "/api/comment/list/", 404, "NOT-FOUND"),
        ("GET", "/api/comment/list/1/2", 404, "NOT-FOUND"),
        ("GET", "/api/comment/new", 405, "NOT-ALLOWED"),
        ("POST", "/api/comment/list/1", 405, "NOT-ALLOWED"),
        ("OPTIONS", "/api/comment/new", 405, "NOT-ALLOWED"),
        ("BREW", "/healthz", 405, "NOT-ALLOWED"),
    ],
)
def test_what_does_not_exist_is_answered_in_the_one_error_body(client, method, path, code, status):
    response = client.open(path, method=method)
    assert (response.status_code, response.content_type) == (code, "application/json")
    assert response.get_json()["status"] == status
    assert ("Allow" in response.headers) == (code == 405)
