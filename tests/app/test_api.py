"""The public routes: posting, listing, following, validation, rate limit, masking and CORS."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from io import BytesIO

import gevent
import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from comments.app import create_app
from comments.config import Settings
from comments.stores import CommentStore, open_store

ALICE = {"email": "alice@example.com", "comment": "first post!", "content_id": 1}
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UNKNOWN = "01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"
LINK = re.compile(r'<(/[^>]+)>; (?:rel="next"; results="true"|results="false"; rel="next")')
TOKEN = "a-token-that-nobody-guesses"
SITE = "https://site.example"


def post(client: FlaskClient, headers: dict[str, str] | None = None, **changes: object) -> TestResponse:
    return client.post("/api/comment/new", json=ALICE | changes, headers=headers)


def post_all(client: FlaskClient, *texts: str) -> list[str]:
    """Post comments to thread 1; return their ids."""
    return [post(client, comment=text).get_json()["id"] for text in texts]


def texts(response: TestResponse) -> list[str]:
    assert response.status_code == 200
    return [comment["comment"] for comment in response.get_json()]


def next_url(response: TestResponse) -> str:
    link = LINK.fullmatch(response.headers["Link"])
    assert link
    return link[1]


def read_to_the_end(client: FlaskClient, url: str) -> tuple[list[list[str]], str]:
    """Return the texts of each page, and the URL to poll."""
    pages = []
    while True:
        response = client.get(url)
        pages.append(texts(response))
        url = next_url(response)
        if 'results="false"' in response.headers["Link"]:
            return pages, url


def fields(response: TestResponse, code: int = 400) -> list[str]:
    """Return the names of the invalid fields, having checked the error format."""
    assert (response.status_code, response.content_type) == (code, "application/json")
    body = response.get_json()
    errors = body.get("errors", [])
    assert body["message"] == "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return [error["field"] for error in errors]


# ---- posting ----


def test_the_response_to_a_post_is_the_whole_comment_and_its_url(client: FlaskClient) -> None:
    response = post(client)
    assert response.status_code == 200
    comment = response.get_json()
    assert comment.pop("status") == "SUCCESS"
    assert comment.pop("message") == "comment created and associated with content_id 1"
    assert ID.fullmatch(comment["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", comment["created_at"])
    assert comment == ALICE | {"id": comment["id"], "created_at": comment["created_at"]}
    assert response.headers["Location"] == f"/api/comment/1/{comment['id']}"
    assert client.get(response.headers["Location"]).get_json() == comment
    assert client.get("/api/comment/list/1").get_json() == [comment]


def test_a_retry_with_the_same_key_stores_one_comment(client: FlaskClient) -> None:
    key = {"Idempotency-Key": "k"}
    first = post(client, key)
    again = post(client, key)
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert len(client.get("/api/comment/list/1").get_json()) == 1


def test_a_key_belongs_to_one_comment_of_one_thread(client: FlaskClient) -> None:
    key = {"Idempotency-Key": "k"}
    post(client, key)
    reused = post(client, key, comment="another")
    assert fields(reused, 422) == ["Idempotency-Key"]
    assert reused.get_json()["status"] == "KEY-REUSED"
    assert post(client, key, content_id=2).status_code == 200


# ---- reading ----


def test_a_thread_lists_its_comments_oldest_first(client: FlaskClient) -> None:
    ids = post_all(client, "one", "two", "three")
    response = client.get("/api/comment/list/1")
    assert texts(response) == ["one", "two", "three"]
    assert [comment["id"] for comment in response.get_json()] == ids == sorted(ids)


def test_a_thread_without_comments_is_not_found(client: FlaskClient) -> None:
    response = client.get("/api/comment/list/9")
    assert response.status_code == 404
    assert response.get_json() == {"status": "NOT-FOUND", "message": "content_id 9 not found"}


def test_the_link_of_each_page_leads_to_the_next(client: FlaskClient) -> None:
    post_all(client, "1", "2", "3", "4", "5")
    pages, _ = read_to_the_end(client, "/api/comment/list/1?limit=2")
    assert pages == [["1", "2"], ["3", "4"], ["5"]]


def test_order_desc_lists_the_newest_first(client: FlaskClient) -> None:
    post_all(client, "1", "2", "3", "4", "5")
    pages, _ = read_to_the_end(client, "/api/comment/list/1?order=desc&limit=2")
    assert pages == [["5", "4"], ["3", "2"], ["1"]]


def test_repeating_the_request_to_the_last_link_polls_for_new_comments(client: FlaskClient) -> None:
    post_all(client, "old")
    _, url = read_to_the_end(client, "/api/comment/list/1?limit=10")
    post_all(client, "new", "newer")
    pages, url = read_to_the_end(client, url)
    seen = [text for page in pages for text in page if text != "old"]  # the store may repeat recent comments
    assert seen == ["new", "newer"]
    post_all(client, "newest")
    pages, _ = read_to_the_end(client, url)
    assert "newest" in pages[-1]


def test_the_id_of_a_comment_is_an_exact_position(client: FlaskClient) -> None:
    first, second = post_all(client, "one", "two")
    assert texts(client.get(f"/api/comment/list/1?after={first}")) == ["two"]
    assert texts(client.get(f"/api/comment/list/1?after={second}&order=desc")) == ["one"]
    assert texts(client.get(f"/api/comment/list/1?after={second}")) == []


def test_an_unchanged_list_is_not_sent_again(client: FlaskClient) -> None:
    post_all(client, "one")
    first = client.get("/api/comment/list/1?limit=1")
    assert first.headers["Cache-Control"] == "no-cache"
    unchanged = {"If-None-Match": first.headers["ETag"]}
    again = client.get("/api/comment/list/1?limit=1", headers=unchanged)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    post_all(client, "two")
    full = client.get("/api/comment/list/1?limit=1", headers=unchanged)
    assert full.status_code == 304
    assert 'results="true"' in full.headers["Link"]  # the page is the same, but another one follows now
    assert client.get("/api/comment/list/1", headers=unchanged).status_code == 200


def test_a_comment_is_found_only_in_its_own_thread(client: FlaskClient) -> None:
    comment_id = post(client).get_json()["id"]
    for path in (f"/api/comment/2/{comment_id}", f"/api/comment/1/{UNKNOWN}"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.get_json()["status"] == "NOT-FOUND"
        assert "not found in content_id" in response.get_json()["message"]


@pytest.mark.usefixtures("dynamodb")
def test_a_failing_store_is_a_503_without_details_and_leaves_the_process_healthy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(open_store("dynamodb://no-such-table")) as store:
        client = create_app(Settings(), store).test_client()
        for response in (post(client), client.get("/api/comment/list/1"), client.get(f"/api/comment/1/{UNKNOWN}")):
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
            assert response.get_json()["status"] == "UNAVAILABLE"
            assert "no-such-table" not in response.text
        assert "no-such-table" in caplog.text
        health = client.get("/healthz")
        assert (health.status_code, health.get_json()) == (200, {"status": "OK"})


# ---- validation: the field is named, and nothing is stored ----


@pytest.fixture
def on_sqlite(sqlite: CommentStore) -> FlaskClient:
    return create_app(Settings(), sqlite).test_client()


@pytest.fixture
def reject(on_sqlite: FlaskClient) -> Callable[..., TestResponse]:
    """Post a body that must be rejected, and check that nothing was stored."""

    def post_invalid(body: bytes, content_type: str | None = "application/json") -> TestResponse:
        response = on_sqlite.post("/api/comment/new", data=body, content_type=content_type)
        assert on_sqlite.get("/api/comment/list/1").status_code == 404
        return response

    return post_invalid


@pytest.mark.parametrize("field", ["email", "comment", "content_id"])
def test_a_missing_field_is_named(reject: Callable[..., TestResponse], field: str) -> None:
    body = {name: value for name, value in ALICE.items() if name != field}
    response = reject(json.dumps(body).encode())
    assert fields(response) == [field]
    assert response.get_json() == {
        "status": "INVALID",
        "message": f"{field}: is required",
        "errors": [{"field": field, "message": "is required"}],
    }


def test_all_invalid_fields_are_named_at_once(reject: Callable[..., TestResponse]) -> None:
    response = reject(json.dumps({"email": 1, "comment": "", "content_id": "1", "extra": None, "": 1}).encode())
    assert set(fields(response)) == {"email", "comment", "content_id", "extra", '""'}


@pytest.mark.parametrize(
    ("field", "value"),
    [("content_id", value) for value in (0, -1, 2**53, 10**40, 1e40, 0.0, 1.5, True, None, "1", [1], {"a": 1})]
    + [
        ("email", value)
        for value in (
            "", "alice", "@example.com", "alice@", "a@b@c", "a b@example.com", "a\u00a0b@example.com",
            "a\x00@example.com", "a\n@example.com", "a" * 65 + "@example.com", "a@" + "b" * 253, None, 1,
        )
    ]
    + [
        ("comment", value)
        for value in ("", " \n\t ", "x" * 10_001, "a\x00b", "a\x1bb", "a\rb", "a\x7fb", "a\x85b", None, 1, ["x"])
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_an_invalid_value_is_rejected(reject: Callable[..., TestResponse], field: str, value: object) -> None:
    assert fields(reject(json.dumps(ALICE | {field: value}).encode())) == [field]


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "a@b", "comment": "x"},
        {"email": "\u00fc@\u00fc.example", "comment": "x" * 10_000},
        {"email": "a" * 64 + "@" + "b" * 189, "comment": "\u00fc" * 10_000},
        {"email": '"q"@x.test', "comment": "1\n\t2"},
        {"content_id": 2**53 - 1},
    ],
    ids=["shortest", "longest comment", "longest body", "newline and tab", "largest content_id"],
)
def test_values_at_the_limits_are_stored_unchanged(client: FlaskClient, changes: dict[str, object]) -> None:
    response = client.post("/api/comment/new", data=json.dumps(ALICE | changes), content_type="application/json")
    assert response.status_code == 200, response.get_json()
    stored = client.get(response.headers["Location"]).get_json()
    assert stored.items() >= (ALICE | changes).items()


def test_an_integer_may_be_written_with_a_fraction_of_zero(on_sqlite: FlaskClient) -> None:
    body = b'{"email": "a@b", "comment": "x", "content_id": 1.0}'
    response = on_sqlite.post("/api/comment/new", data=body, content_type="application/json")
    assert '"content_id":1,' in response.text


def test_white_space_around_a_comment_is_removed(on_sqlite: FlaskClient) -> None:
    assert post(on_sqlite, comment=" \n hello \t").get_json()["comment"] == "hello"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"email": "a@b",}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"content_id": NaN}', b"{'a': 1}",
     b'{"content_id": 1, "content_id": 2}', b'{"comment": "\\ud800"}', b'{"comment": "\xed\xa0\x80"}', b"[" * 60_000,
     b'{"a":' * 10_000, b'{"comment": "a\x00b"}', b"{} {}", b"9" * 5000, b"1", b'"x"', b"[]", b"true"],
    ids=lambda body: repr(body)[:24],
)  # fmt: skip
def test_a_body_that_is_not_a_json_object_is_rejected(reject: Callable[..., TestResponse], body: bytes) -> None:
    assert fields(reject(body)) == ["body"]


def test_a_syntax_error_is_located_by_line_and_column(reject: Callable[..., TestResponse]) -> None:
    assert "line 2 column 13" in reject(b'{"email": "a@b",\n "comment": x}').get_json()["message"]


def test_a_body_of_more_than_64_kib_is_rejected(reject: Callable[..., TestResponse]) -> None:
    response = reject(json.dumps(ALICE | {"comment": "x" * 70_000}).encode())
    assert response.status_code == 413
    assert response.get_json() == {"status": "TOO-LARGE", "message": "the body must have at most 65536 bytes"}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_other_content_types_are_rejected(reject: Callable[..., TestResponse], content_type: str | None) -> None:
    response = reject(json.dumps(ALICE).encode(), content_type)
    assert (response.status_code, response.get_json()["status"]) == (415, "UNSUPPORTED")
    assert "application/json" in response.get_json()["message"]


def test_a_content_type_may_have_a_charset(on_sqlite: FlaskClient) -> None:
    content_type = "application/json; charset=utf-8"
    response = on_sqlite.post("/api/comment/new", data=json.dumps(ALICE), content_type=content_type)
    assert response.status_code == 200


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
    + [(f"/api/comment/list/1?order={order}", "order") for order in ("", "ASC", "newest")],
)  # fmt: skip
def test_an_invalid_value_in_a_url_is_named(on_sqlite: FlaskClient, path: str, field: str) -> None:
    assert fields(on_sqlite.get(path)) == [field]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/comment/list/1"),
        ("GET", f"/api/comment/1/{UNKNOWN}"),
        ("GET", "/api/status"),
        ("POST", "/api/comment/new"),
    ],
)
def test_an_unknown_query_parameter_is_rejected(on_sqlite: FlaskClient, method: str, path: str) -> None:
    response = on_sqlite.open(path, method=method, query_string={"page": "2"}, json=ALICE)
    assert fields(response) == ["page"]
    assert response.get_json()["errors"][0]["message"] == "is unknown"


@pytest.mark.parametrize("cursor", [f"{UNKNOWN}.{digit * 15}" for digit in "017f"])
def test_a_made_up_cursor_is_a_position_like_any_other(client: FlaskClient, cursor: str) -> None:
    post_all(client, "one")
    for order in ("asc", "desc"):
        response = client.get(f"/api/comment/list/1?after={cursor}&order={order}")
        assert response.status_code == 200
        assert client.get(next_url(response)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/nothing", 404, "NOT-FOUND"),
        ("GET", "/api/comment/list/", 404, "NOT-FOUND"),
        ("GET", "/api//comment/list/1", 404, "NOT-FOUND"),
        ("GET", "/api/comment/new", 405, "NOT-ALLOWED"),
        ("POST", "/api/comment/list/1", 405, "NOT-ALLOWED"),
        ("DELETE", f"/api/comment/1/{UNKNOWN}", 405, "NOT-ALLOWED"),
        ("BREW", "/healthz", 405, "NOT-ALLOWED"),
    ],
)
def test_unknown_routes_and_methods_share_the_error_format(
    on_sqlite: FlaskClient, method: str, path: str, code: int, status: str
) -> None:
    response = on_sqlite.open(path, method=method)
    assert (response.status_code, response.content_type) == (code, "application/json")
    assert response.get_json().keys() == {"status", "message"}
    assert response.get_json()["status"] == status
    assert ("Allow" in response.headers) == (code == 405)


class DrippingBody(BytesIO):
    def read(self, *_: object) -> bytes:
        gevent.sleep(5)
        return b""


def test_a_body_that_takes_too_long_is_rejected(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comments.api.BODY_TIMEOUT", 0.01)
    response = client.post(
        "/api/comment/new", input_stream=DrippingBody(), content_length=100, content_type="application/json"
    )
    assert fields(response) == ["body"]


# ---- rate limit ----


def address(client_address: str) -> dict[str, dict[str, str]]:
    return {"environ_overrides": {"REMOTE_ADDR": client_address}}


def post_from(client: FlaskClient, client_address: str) -> int:
    return client.post("/api/comment/new", json=ALICE, **address(client_address)).status_code


def test_a_client_over_the_limit_learns_when_to_retry(sqlite: CommentStore) -> None:
    client = create_app(Settings(post_limit="3/hour"), sqlite).test_client()
    assert [post(client).status_code for _ in range(4)] == [200, 200, 200, 429]
    rejected = post(client)
    assert 3500 < int(rejected.headers["Retry-After"]) <= 3600
    assert rejected.get_json()["status"] == "RATE-LIMITED"
    assert rejected.get_json()["message"].startswith("too many comments from this address; retry in ")
    assert len(client.get("/api/comment/list/1").get_json()) == 3


def test_an_invalid_post_does_not_count(sqlite: CommentStore) -> None:
    client = create_app(Settings(post_limit="1/hour"), sqlite).test_client()
    for _ in range(3):
        assert post(client, email="alice").status_code == 400
        assert post(client, {"Idempotency-Key": "a b"}).status_code == 400
        assert client.post("/api/comment/new", data="{}", content_type="text/plain").status_code == 415
    assert [post(client).status_code for _ in range(2)] == [200, 429]


def test_the_moderator_has_no_limit(sqlite: CommentStore) -> None:
    client = create_app(Settings(post_limit="1/hour", moderator_token=SecretStr(TOKEN)), sqlite).test_client()
    assert [post(client, {"Authorization": f"Bearer {TOKEN}"}).status_code for _ in range(3)] == [200] * 3


def test_each_client_is_counted_on_its_own_and_only_when_posting(sqlite: CommentStore) -> None:
    client = create_app(Settings(post_limit="1/hour"), sqlite).test_client()
    assert [post_from(client, "203.0.113.1") for _ in range(2)] == [200, 429]
    assert post_from(client, "203.0.113.2") == 200
    assert {client.get("/api/comment/list/1").status_code for _ in range(5)} == {200}


def test_the_addresses_of_one_ipv6_network_are_one_client(sqlite: CommentStore) -> None:
    client = create_app(Settings(post_limit="1/hour"), sqlite).test_client()
    addresses = ["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1", "::ffff:203.0.113.1", "::ffff:203.0.113.2"]
    assert [post_from(client, each) for each in addresses] == [200, 429, 200, 200, 200]


def test_a_client_cannot_evade_the_limit_with_a_forged_header(sqlite: CommentStore) -> None:
    """Only the address that the trusted proxy appends counts; without a proxy, the header is ignored."""
    behind_proxy = create_app(Settings(post_limit="1/hour", trusted_proxies=1), sqlite).test_client()
    direct = create_app(Settings(post_limit="1/hour"), sqlite).test_client()
    for number, expected in enumerate([200, 429, 429]):
        assert post(behind_proxy, {"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.9"}).status_code == expected
        assert post(direct, {"X-Forwarded-For": f"10.0.0.{number}"}).status_code == expected
    assert post(behind_proxy, {"X-Forwarded-For": "10.0.0.1, 203.0.113.10"}).status_code == 200


# ---- email masking ----


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("show", ["alice@example.com", "\u00fc@\u00fc.example"]),
        ("mask", ["a***@example.com", "\u00fc***@\u00fc.example"]),
        ("hide", [None, None]),
    ],
)
def test_public_responses_show_emails_as_configured(
    sqlite: CommentStore, setting: str, expected: list[str | None]
) -> None:
    client = create_app(Settings.model_validate({"emails": setting}), sqlite).test_client()
    posted = [post(client), post(client, email="\u00fc@\u00fc.example")]
    single = [client.get(response.headers["Location"]) for response in posted]
    listed = client.get("/api/comment/list/1").get_json()
    for comments in ([each.get_json() for each in posted], [each.get_json() for each in single], listed):
        assert [comment.get("email") for comment in comments] == expected
    stored = create_app(Settings(), sqlite).test_client().get("/api/comment/list/1").get_json()
    assert [comment["email"] for comment in stored] == ["alice@example.com", "\u00fc@\u00fc.example"]


# ---- CORS ----


def preflight(client: FlaskClient, origin: str, method: str = "POST", path: str = "/api/comment/new") -> TestResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type, idempotency-key, authorization",
    }
    return client.options(path, headers=headers)


def cors_headers(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("Access-Control-")}


def test_by_default_no_other_site_may_call_the_api(on_sqlite: FlaskClient) -> None:
    for response in (post(on_sqlite, {"Origin": SITE}), preflight(on_sqlite, SITE)):
        assert cors_headers(response) == {}


def test_pages_of_configured_origins_may_post_and_read(sqlite: CommentStore) -> None:
    client = create_app(Settings(cors_origins=(SITE, "https://other.example")), sqlite).test_client()
    assert cors_headers(preflight(client, SITE)) == {
        "Access-Control-Allow-Origin": SITE,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "content-type, idempotency-key",
        "Access-Control-Expose-Headers": "Link, Location, Retry-After, X-Request-Id",
        "Access-Control-Max-Age": "7200",
    }
    for response in (
        post(client, {"Origin": SITE}),
        client.get("/api/comment/list/1", headers={"Origin": SITE}),
        client.get("/api/comment/list/999", headers={"Origin": SITE}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == SITE
        assert response.headers["Access-Control-Expose-Headers"] == "Link, Location, Retry-After, X-Request-Id"
        assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://site.example.evil", "http://site.example", "https://site.example:8443", "null"]
)
def test_pages_of_other_origins_may_not(sqlite: CommentStore, origin: str) -> None:
    client = create_app(Settings(cors_origins=(SITE, "https://other.example")), sqlite).test_client()
    for response in (preflight(client, origin), post(client, {"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in response.headers


def test_a_star_allows_all_origins(sqlite: CommentStore) -> None:
    client = create_app(Settings(cors_origins=("*",)), sqlite).test_client()
    for response in (preflight(client, "https://any.example"), post(client, {"Origin": "null"})):
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_pages_of_other_origins_cannot_moderate(sqlite: CommentStore) -> None:
    client = create_app(Settings.model_validate({"cors_origins": "*", "moderator_token": TOKEN}), sqlite).test_client()
    for method, path in (("DELETE", f"/api/moderation/1/{UNKNOWN}"), ("GET", "/api/moderation/held")):
        assert cors_headers(preflight(client, SITE, method, path)) == {}
