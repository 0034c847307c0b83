"""The public routes: posting, listing, validation, rate limit, masking and CORS."""

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import gevent
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comments.stores import CommentStore
from tests.app.support import ALICE, AUTH, TOKEN, UNKNOWN, client_of, links, location, post

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SITE = "https://site.example"


def post_all(client: FlaskClient, *texts: str) -> list[str]:
    """Post comments to thread 1; return their ids."""
    return [post(client, comment=text).get_json()["id"] for text in texts]


def texts(response: TestResponse) -> list[str]:
    assert response.status_code == 200
    return [comment["comment"] for comment in response.get_json()]


def fields(response: TestResponse, code: int = 400) -> list[str]:
    """Return the names of the invalid fields, having checked the error format."""
    assert (response.status_code, response.content_type) == (code, "application/json")
    body = response.get_json()
    errors = body.get("errors", [])
    assert body["message"] == "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return [error["field"] for error in errors]


# ---- posting and reading ----


def test_the_response_to_a_post_is_the_whole_comment_and_its_url(client: FlaskClient) -> None:
    response = post(client)
    assert response.status_code == 200
    comment = response.get_json()
    assert comment.pop("status") == "SUCCESS"
    assert comment.pop("message") == "comment created and associated with content_id 1"
    assert ID.fullmatch(comment["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", comment["created_at"])
    assert abs(datetime.fromisoformat(comment["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert comment == ALICE | {"id": comment["id"], "created_at": comment["created_at"]}
    assert location(response).endswith(f"/api/comment/1/{comment['id']}")
    assert client.get(location(response)).get_json() == comment
    assert client.get("/api/comment/list/1").get_json() == [comment]


def test_a_key_belongs_to_one_comment_of_one_thread(client: FlaskClient) -> None:
    key = {"Idempotency-Key": "k"}
    first, again, reused = post(client, key), post(client, key), post(client, key, comment="another")
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert fields(reused, 422) == ["Idempotency-Key"]
    assert reused.get_json()["status"] == "KEY-REUSED"
    assert texts(client.get("/api/comment/list/1")) == ["first post!"]
    assert post(client, key, content_id=2).status_code == 200


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_generic_paginator_reads_each_comment_once_and_stops(client: FlaskClient, order: str, limit: int) -> None:
    ids = post_all(client, *"12345")
    assert ids == sorted(ids)
    pages, url = [], f"/api/comment/list/1?limit={limit}&order={order}"
    while url:
        response = client.get(url)
        pages.append("".join(texts(response)))
        url = links(response).get("next", "")
    expected = "12345" if order == "asc" else "54321"
    assert pages == [expected[start : start + limit] for start in range(0, 5, limit)]
    assert ("monitor" in links(response)) == (order == "asc" or limit >= 5)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_thread_is_followed_from_before_its_first_comment(client: FlaskClient, order: str) -> None:
    empty = client.get(f"/api/comment/list/1?order={order}")
    assert (empty.status_code, empty.get_json()["message"]) == (404, "content_id 1 not found")
    assert links(empty).keys() == {"monitor"}
    url = links(empty)["monitor"]
    assert client.get(url).get_json() == []
    post_all(client, "one", "two")
    assert texts(client.get(url)) == ["one", "two"]


@pytest.mark.parametrize("limit", [1, 5])
def test_a_reader_of_the_newest_comments_polls_for_newer_ones(client: FlaskClient, limit: int) -> None:
    ids = post_all(client, "one", "two")
    url = links(client.get(f"/api/comment/list/1?order=desc&limit={limit}"))["monitor"]
    post_all(client, "three")
    response = client.get(url)
    found = [comment["comment"] for comment in response.get_json() if comment["id"] not in ids]
    while "next" in links(response):  # DynamoDB repeats recent comments
        response = client.get(links(response)["next"])
        found += [comment["comment"] for comment in response.get_json() if comment["id"] not in ids]
    assert found == ["three"]


def test_the_id_of_a_comment_is_an_exact_position(client: FlaskClient) -> None:
    first, second = post_all(client, "one", "two")
    assert texts(client.get(f"/api/comment/list/1?after={first}")) == ["two"]
    assert texts(client.get(f"/api/comment/list/1?after={second}&order=desc")) == ["one"]
    assert texts(client.get(f"/api/comment/list/1?after={second}")) == []


def test_an_unchanged_page_is_not_sent_again(client: FlaskClient) -> None:
    post_all(client, "one")
    first = client.get("/api/comment/list/1?limit=1")
    assert first.headers["Cache-Control"] == "no-cache"
    unchanged = {"If-None-Match": first.headers["ETag"]}
    post_all(client, "two")
    again = client.get("/api/comment/list/1?limit=1", headers=unchanged)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert "next" in links(again)  # another page follows now
    assert client.get("/api/comment/list/1", headers=unchanged).status_code == 200


# ---- validation: the field is named, and nothing is stored; Schemathesis generates more requests ----


def reject(client: FlaskClient, body: object) -> TestResponse:
    """Post a body that must be rejected, and check that nothing was stored."""
    data = body if isinstance(body, bytes) else json.dumps(body)
    response = client.post("/api/comment/new", data=data, content_type="application/json")
    thread = client.get("/api/comment/list/1")
    assert (thread.status_code, thread.get_json()["status"]) == (404, "NOT-FOUND")
    return response


def test_all_invalid_fields_are_named_at_once(on_sqlite: FlaskClient) -> None:
    response = reject(on_sqlite, {"comment": "", "content_id": "1", "extra": None})
    assert set(fields(response)) == {"email", "comment", "content_id", "extra"}
    assert response.get_json()["status"] == "INVALID"
    names = {str(number): 0 for number in range(10_000)}
    assert len(fields(reject(on_sqlite, names))) == 20
    assert len(fields(on_sqlite.get("/api/status", query_string=names))) == 20


@pytest.mark.parametrize(
    "credentials",
    ["Basic \xff", "Bearer \u20ac", "Basic x", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "\x01=", ""],
)
@pytest.mark.parametrize("token", [TOKEN, ""])
def test_wrong_credentials_are_rejected_on_every_route(sqlite: CommentStore, credentials: str, token: str) -> None:
    client = client_of(sqlite, moderator_token=token)
    headers = {"Authorization": credentials.encode().decode("latin-1")}
    paths = ("/", "/docs", "/embed.js", "/healthz", "/nothing", "/api/comment/list/1", "/api/comment/list/x")
    for response in (post(client, headers), *(client.get(path, headers=headers) for path in paths)):
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get("/api/comment/list/1").status_code == 404


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_is_accepted_on_every_route(sqlite: CommentStore, scheme: str) -> None:
    client = client_of(sqlite, moderator_token=TOKEN)
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert post(client, headers).status_code == 200
    for path in ("/", "/healthz", "/api/comment/list/1", "/api/moderation/held"):
        assert client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content_id", value)
        for value in (0, -1, 2**53, 2**53 - 1.4, 10**40, 1e40, 0.0, 1.5, True, None, "1", [1], {"a": 1})
    ]
    + [
        ("email", value)
        for value in (
            "", "alice", "@example.com", "alice@", "a@b@c", "a b@example.com", "a\u00a0b@example.com",
            "a\x00@example.com", "a\n@example.com", "a" * 65 + "@example.com", "a@" + "b" * 253, None, 1,
        )
    ]
    + [
        ("comment", value)
        for value in (
            "", " \n\t ", "\u200b", "\u2800\n\ufeff \u00ad", "\U000e0041", "x" * 10_001, "a\x00b", "a\x1bb", "a\rb",
            "a\x7fb", "a\x85b", None, 1, ["x"],
        )
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_an_invalid_value_is_rejected(on_sqlite: FlaskClient, field: str, value: object) -> None:
    assert fields(reject(on_sqlite, ALICE | {field: value})) == [field]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"email": "a@b",}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"content_id": NaN}', b"{'a': 1}",
     b'{"content_id": 1, "content_id": 2}', b'{"comment": "\\ud800"}', b'{"comment": "\xed\xa0\x80"}', b"[" * 60_000,
     b'{"a":' * 10_000, b'{"comment": "a\x00b"}', b"{} {}", b"9" * 5000, b"1", b'"x"', b"[]", b"true"],
    ids=lambda body: repr(body)[:24],
)  # fmt: skip
def test_a_body_that_is_not_a_json_object_is_rejected(on_sqlite: FlaskClient, body: bytes) -> None:
    assert fields(reject(on_sqlite, body)) == ["body"]


@pytest.mark.parametrize(
    "given",
    [
        {"email": "a@b", "comment": "x"},
        {"email": "\u00fc@\u00fc.example", "comment": "x" * 10_000},
        {"email": "a" * 64 + "@" + "b" * 189, "comment": "\U0001f600" * 10_000},
        {"email": '"q"@x.test', "comment": '1\n\t2 " \\ <b>&amp;</b> jo\u00e3o \U0001f600 \u202e.'},
        {"content_id": 2**53 - 1},
        {"content_id": 7.0},
        {"comment": " \n hello \t"},
    ],
    ids=["shortest", "longest comment", "longest body", "special", "largest content_id", "7.0", "white space"],
)
def test_values_within_the_limits_are_stored(client: FlaskClient, given: dict[str, Any]) -> None:
    expected: dict[str, Any] = ALICE | given
    body = json.dumps(expected)  # with escapes, so that the longest one almost has 128 KiB
    response = client.post("/api/comment/new", data=body, content_type="application/json")
    assert response.status_code == 200, response.get_json()
    expected["comment"] = expected["comment"].strip()
    assert client.get(location(response)).get_json().items() >= expected.items()


@pytest.mark.parametrize(
    ("content_type", "size", "code", "status"),
    [
        ("application/json; charset=utf-8", 128 * 1024, 200, "SUCCESS"),
        ("application/json", 128 * 1024 + 1, 413, "TOO-LARGE"),
        (None, 100, 415, "UNSUPPORTED"),
        ("application/x-www-form-urlencoded", 100, 415, "UNSUPPORTED"),
    ],
)
def test_a_body_is_at_most_128_kib_of_json(
    on_sqlite: FlaskClient, content_type: str | None, size: int, code: int, status: str
) -> None:
    response = on_sqlite.post("/api/comment/new", data=json.dumps(ALICE).ljust(size), content_type=content_type)
    assert (response.status_code, response.get_json()["status"]) == (code, status)


def test_a_body_that_takes_too_long_is_rejected(on_sqlite: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(ALICE).encode()

    def read(_: int) -> bytes:
        gevent.sleep(1)
        return body

    monkeypatch.setattr("comments.http.web.BODY_TIMEOUT", 0.01)
    environ = {"wsgi.input": SimpleNamespace(read=read), "CONTENT_LENGTH": str(len(body))}
    response = on_sqlite.post("/api/comment/new", content_type="application/json", environ_overrides=environ)
    assert (response.status_code, response.get_json()["status"]) == (408, "TIMEOUT")


def test_a_bug_is_not_blamed_on_the_client(on_sqlite: FlaskClient) -> None:
    environ = {"wsgi.input": SimpleNamespace(read=Mock(side_effect=KeyError("a bug"))), "CONTENT_LENGTH": "10"}
    response = on_sqlite.post("/api/comment/new", content_type="application/json", environ_overrides=environ)
    assert (response.status_code, response.get_json()["status"]) == (500, "ERROR")


@pytest.mark.parametrize("key", ["", "a b", "\u00fc", "x" * 256])
def test_an_invalid_idempotency_key_is_rejected(on_sqlite: FlaskClient, key: str) -> None:
    assert fields(post(on_sqlite, {"Idempotency-Key": key})) == ["Idempotency-Key"]


@pytest.mark.parametrize(
    ("path", "field"),
    [(f"/api/comment/list/{number}", "content_id")
     for number in ("0", "007", "-1", "1.0", "x", "%EF%BC%91", "9007199254740992", "1" * 400, "%00")]
    + [(f"/api/comment/0/{UNKNOWN}", "content_id")]
    + [(f"/api/comment/1/{comment_id}", "id") for comment_id in ("1", "x", UNKNOWN.upper(), UNKNOWN + "%0a")]
    + [(f"/api/comment/list/1?limit={limit}", "limit")
       for limit in ("", "0", "-1", "1001", "01", "x", "1.0", "%D9%A1")]
    + [(f"/api/comment/list/1?after={after}", "after")
       for after in ("", "1", "00000000-0000-4000-8000-000000000000", "x" * 36, f"{UNKNOWN}.", f"{UNKNOWN}.0")]
    + [(f"/api/comment/list/1?order={order}", "order") for order in ("", "ASC", "newest")]
    + [("/api/comment/list/1?limit=1&limit=1", "limit"), ("/api/moderation/held?after=&after=", "after"),
       ("/api/status?x=1&x=2", "x")]
    + [(f"{path}?page=2", "page")
       for path in ("/api/comment/list/1", f"/api/comment/1/{UNKNOWN}", "/api/status", "POST /api/comment/new")]
    + [(f"/api/moderation/held?{query}=x", query) for query in ("limit", "after", "order", "page")]
    + [(f"DELETE /api/moderation/0/{UNKNOWN}", "content_id"), ("DELETE /api/moderation/1/x", "id"),
       ("POST /api/moderation/1/x/approve", "id")],
)  # fmt: skip
def test_an_invalid_value_in_a_url_is_named(sqlite: CommentStore, path: str, field: str) -> None:
    method, _, path = path.rpartition(" ")
    client = client_of(sqlite, moderator_token=TOKEN)
    assert fields(client.open(path, method=method or "GET", json=ALICE, headers=AUTH)) == [field]


@pytest.mark.parametrize(
    ("path", "code", "status", "message"),
    [
        ("/nothing", 404, "NOT-FOUND", "there is no such page or route; /docs lists those of the API"),
        ("/api//comment/list/1", 404, "NOT-FOUND", "there is no such page or route; /docs lists those of the API"),
        ("/api/comment/new", 405, "NOT-ALLOWED", "this route does not support GET; it supports OPTIONS, POST"),
    ],
)
def test_unknown_routes_and_methods_share_the_error_format(
    on_sqlite: FlaskClient, path: str, code: int, status: str, message: str
) -> None:
    response = on_sqlite.get(path)
    assert (response.status_code, response.content_type) == (code, "application/json")
    assert response.get_json() == {"status": status, "message": message}
    assert ("Allow" in response.headers) == (code == 405)


@pytest.mark.parametrize("path", ["/api/comment/new", "/api/comment/list/1", "/api/status", "/healthz", "/"])
def test_the_response_to_options_is_empty(on_sqlite: FlaskClient, path: str) -> None:
    response = on_sqlite.options(path)
    assert (response.status_code, response.data) == (204, b"")
    assert "OPTIONS" in response.headers["Allow"]
    assert not {"Content-Type", "Content-Security-Policy"} & set(response.headers.keys())


# ---- rate limit ----


def test_a_client_over_the_limit_learns_when_to_retry(sqlite: CommentStore) -> None:
    client = client_of(sqlite, post_limit="3/hour", moderator_token=TOKEN)
    for _ in range(4):  # none of these counts
        assert post(client, email="alice").status_code == 400
        assert post(client, {"Idempotency-Key": "a b"}).status_code == 400
        assert client.post("/api/comment/new", data="{}", content_type="text/plain").status_code == 415
        assert post(client, AUTH).status_code == 200
        assert client.get("/api/comment/list/1").status_code == 200
    retried = {"Idempotency-Key": "k"}  # counts once
    statuses = [post(client, headers).status_code for headers in (retried, retried, {}, {}, {})]
    assert statuses == [200, 200, 200, 200, 429]
    assert post(client, retried).status_code == 200  # its response may have been lost
    assert fields(post(client, retried, comment="another"), 422) == ["Idempotency-Key"]
    rejected = post(client)
    assert rejected.get_json()["status"] == "RATE-LIMITED"
    assert 3500 < int(rejected.headers["Retry-After"]) <= 3600
    assert len(client.get("/api/comment/list/1").get_json()) == 7


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [(0, "2.2.2.2", 429), (2, "203.0.113.1, 130.176.0.2", 429), (2, "203.0.113.2, 130.176.0.1", 200)]
    + [(1, f"2.2.2.2, {address}", 429)
       for address in ("203.0.113.1", "::ffff:203.0.113.1", "203.0.113.1:5", "2001:db8::2:1", "[2001:db8::1]:5")]
    + [(1, f"1.1.1.1, {address}", 200) for address in ("203.0.113.2", "::ffff:203.0.113.2", "2001:db8:0:1::1")],
)  # fmt: skip
def test_each_address_or_ipv6_network_is_one_client_whatever_it_sends(
    sqlite: CommentStore, proxies: int, forwarded: str, status: int
) -> None:
    """Only the address that the first trusted proxy appends counts; without a proxy, the header is ignored."""
    client = client_of(sqlite, post_limit="1/hour", trusted_proxies=proxies)
    for address in ("203.0.113.1", "2001:db8::1"):
        post(client, {"X-Forwarded-For": ", ".join(["1.1.1.1", address, "130.176.0.1"][: proxies + 1])})
    assert post(client, {"X-Forwarded-For": forwarded}).status_code == status


# ---- CORS ----


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("", SITE, None),
        (f"{SITE}, https://other.example", SITE, SITE),
        (f"{SITE}, https://other.example", "https://site.example.evil", None),
        (f"{SITE}, https://other.example", "http://site.example", None),
        (f"{SITE}, https://other.example", "null", None),
        ("*", "null", "*"),
    ],
)
def test_pages_of_configured_origins_may_call_the_api_but_not_moderate(
    sqlite: CommentStore, origins: str, origin: str, allowed: str | None
) -> None:
    client = client_of(sqlite, cors_origins=origins, moderator_token=TOKEN)
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "author-token, content-type, idempotency-key, if-none-match, authorization",
    }
    preflight = client.options("/api/comment/new", headers=asked)
    for response in (
        preflight,
        post(client, asked),
        client.get("/api/comment/list/1", headers=asked),
        client.get("/api/comment/list/999", headers=asked),
    ):
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in response.headers
        if allowed:
            exposed = response.headers["Access-Control-Expose-Headers"]
            assert exposed == "ETag, Link, Location, Retry-After, X-Request-Id"
    if allowed:
        assert preflight.headers["Access-Control-Allow-Methods"] == "DELETE, GET, PATCH, POST"
        allowed_headers = "author-token, content-type, idempotency-key, if-none-match"
        assert preflight.headers["Access-Control-Allow-Headers"] == allowed_headers
    moderation = client.options("/api/moderation/held", headers=asked)
    assert not [name for name, _ in moderation.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", ["/api/comment/list/1", "/api/comment/list/x", "/api/comment/new", "/api/status"])
def test_a_cache_does_not_share_responses_between_origins(sqlite: CommentStore, path: str) -> None:
    client = client_of(sqlite, cors_origins=f"{SITE}")
    for headers in ({}, {"Origin": SITE}, {"Origin": "https://other.example"}):
        assert client.get(path, headers=headers).headers.getlist("Vary") == ["Origin"]
    for other in (client_of(sqlite), client_of(sqlite, cors_origins="*")):  # these don't depend on the origin
        responses = [other.get(path, headers=headers) for headers in ({}, {"Origin": SITE})]
        assert {response.headers.get("Access-Control-Allow-Origin") for response in responses} <= {None, "*"}
        assert len({response.headers.get("Access-Control-Allow-Origin") for response in responses}) == 1
        assert not any("Vary" in response.headers for response in responses)
