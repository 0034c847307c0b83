"""What emails everyone sees, how often one may post, and whose pages may call."""

import pytest
from flask.testing import FlaskClient

from comments import create_app
from comments.settings import Settings

TOKEN = "a-token-that-nobody-guesses"
SITE = "https://site.example"


def client_of(store, **settings) -> FlaskClient:
    return create_app(Settings(**settings), store).test_client()


def post(client, content_id=1, email="alice@example.com", **options):
    body = {"email": email, "comment": "hello", "content_id": content_id}
    return client.post("/api/comment/new", json=body, **options)


def emails(client):
    return [comment.get("email", "none") for comment in client.get("/api/comment/list/1").get_json()]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("show", ["alice@example.com", "\u00fc@\u00fc.example"]),
        ("mask", ["a***@example.com", "\u00fc***@\u00fc.example"]),
        ("hide", ["none", "none"]),
    ],
)
def test_emails_are_listed_as_the_setting_says_and_kept_as_they_came(store, setting, expected):
    client = client_of(store, emails=setting)
    post(client)
    post(client, email="\u00fc@\u00fc.example")
    assert emails(client) == expected
    assert emails(client_of(store)) == ["alice@example.com", "\u00fc@\u00fc.example"]


@pytest.mark.parametrize("setting", ["mask", "hide"])
def test_the_moderator_sees_emails(store, setting):
    client = client_of(store, emails=setting, moderator_token=TOKEN, moderation=True)
    post(client)
    (held,) = client.get("/api/moderation/held", headers={"Authorization": f"Bearer {TOKEN}"}).get_json()
    assert held["email"] == "alice@example.com"


def address(client_address):
    return {"environ_overrides": {"REMOTE_ADDR": client_address}}


def test_a_client_that_posts_too_often_is_told_when_to_come_back(store):
    client = client_of(store, post_limit="3/hour")
    assert [post(client).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = post(client)
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    body = refused.get_json()
    assert body["status"] == "INVALID"
    assert body["message"].startswith("too many posts from this address: wait ")
    assert len(emails(client)) == 3


def test_the_limit_is_for_posts_alone_and_for_each_client(store):
    client = client_of(store, post_limit="1/hour")
    assert post(client, **address("203.0.113.1")).status_code == 200
    assert post(client, **address("203.0.113.1")).status_code == 429
    assert post(client, **address("203.0.113.2")).status_code == 200
    assert {client.get("/api/comment/list/1", **address("203.0.113.1")).status_code for _ in range(5)} == {200}


def test_the_addresses_of_one_ipv6_network_are_one_client(store):
    client = client_of(store, post_limit="1/hour")
    assert post(client, **address("2001:db8::1")).status_code == 200
    assert post(client, **address("2001:db8::2:1")).status_code == 429
    assert post(client, **address("2001:db8:0:1::1")).status_code == 200
    assert post(client, **address("::ffff:203.0.113.1")).status_code == 200
    assert post(client, **address("::ffff:203.0.113.2")).status_code == 200


def test_a_client_cannot_evade_the_limit_by_a_header(store):
    """It writes whatever it likes left of what the trusted proxy appends, or where there is no proxy at all."""
    behind = client_of(store, post_limit="1/hour", trusted_proxies=1)
    open_ = client_of(store, post_limit="1/hour")
    for number in range(3):
        forged = {"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.9"}
        assert post(behind, headers=forged).status_code == (200 if number == 0 else 429)
        assert post(open_, headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code == (200 if number == 0 else 429)
    assert post(behind, headers={"X-Forwarded-For": "10.0.0.1, 203.0.113.10"}).status_code == 200


def test_without_the_setting_nothing_is_limited(store):
    client = client_of(store)
    assert {post(client).status_code for _ in range(30)} == {200}


def preflight(client, origin, method="POST"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return client.open("/api/comment/new", method="OPTIONS", headers=headers)


def cors(response):
    return {name for name, _ in response.headers if name.startswith("Access-Control-")}


def test_no_other_site_may_call_unless_it_is_set(store):
    client = client_of(store)
    for response in (post(client, headers={"Origin": SITE}), preflight(client, SITE)):
        assert cors(response) == set()
        assert "Vary" not in response.headers
    assert preflight(client, SITE).status_code == 405


def test_a_site_that_is_set_may_post_and_read(store):
    client = client_of(store, cors_origins=(SITE, "https://other.example"))
    asked = preflight(client, SITE)
    assert (asked.status_code, asked.data) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == SITE
    assert asked.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert asked.headers["Access-Control-Allow-Headers"] == "Content-Type, Idempotency-Key"
    assert asked.headers["Vary"] == "Origin"
    assert asked.headers["X-Request-Id"]
    for response in (
        post(client, headers={"Origin": SITE}),
        client.get("/api/comment/list/1", headers={"Origin": SITE}),
        client.get("/api/comment/list/999", headers={"Origin": SITE}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == SITE
        assert response.headers["Access-Control-Expose-Headers"] == "Link, X-Request-Id, Retry-After"
        assert response.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://site.example.evil", "http://site.example", "https://site.example:8443", "null", ""]
)
def test_any_other_site_may_not(store, origin):
    client = client_of(store, cors_origins=(SITE,))
    refused = preflight(client, origin)
    assert refused.status_code == 405
    assert cors(refused) == set()
    answer = post(client, headers={"Origin": origin})
    assert cors(answer) == set()
    assert answer.headers["Vary"] == "Origin"


def test_a_star_lets_every_site_in(store):
    client = client_of(store, cors_origins=("*",))
    assert preflight(client, "https://any.example").headers["Access-Control-Allow-Origin"] == "*"
    assert post(client, headers={"Origin": "null"}).headers["Access-Control-Allow-Origin"] == "*"


def test_other_sites_pages_cannot_moderate(store):
    client = client_of(store, cors_origins=("*",), moderator_token=TOKEN)
    asked = preflight(client, SITE, "DELETE")
    assert "DELETE" not in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" not in asked.headers["Access-Control-Allow-Headers"]
