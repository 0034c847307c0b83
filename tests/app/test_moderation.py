"""Moderator routes: what the moderator can do, and that nobody else can."""

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from comments.app import create_app
from comments.config import Settings
from comments.stores import CommentStore

TOKEN = "a-token-that-nobody-guesses"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
ALICE = {"email": "alice@example.com", "comment": "first post!", "content_id": 1}
UNKNOWN = "01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"
ROUTES = [
    ("GET", "/api/moderation/held"),
    ("POST", f"/api/moderation/1/{UNKNOWN}/approve"),
    ("DELETE", f"/api/moderation/1/{UNKNOWN}"),
]


@pytest.fixture
def moderated(store: CommentStore) -> FlaskClient:
    return create_app(Settings(moderator_token=SecretStr(TOKEN), moderation=True), store).test_client()


def post(client: FlaskClient, headers: dict[str, str] | None = None, **changes: object) -> TestResponse:
    return client.post("/api/comment/new", json=ALICE | changes, headers=headers)


def approve(client: FlaskClient, comment_id: str) -> TestResponse:
    return client.post(f"/api/moderation/1/{comment_id}/approve", headers=AUTH)


def published(client: FlaskClient) -> list[str]:
    response = client.get("/api/comment/list/1")
    return [comment["comment"] for comment in response.get_json()] if response.status_code == 200 else []


def held(client: FlaskClient) -> list[str]:
    return [comment["id"] for comment in client.get("/api/moderation/held", headers=AUTH).get_json()]


def test_a_new_comment_is_held_until_it_is_approved(moderated: FlaskClient) -> None:
    posted = post(moderated)
    assert posted.status_code == 202
    assert "Location" not in posted.headers
    comment = posted.get_json()
    assert comment.pop("status") == "HELD"
    assert comment.pop("message") == "comment held for approval before it is listed in content_id 1"
    assert comment.items() >= ALICE.items() | {("held", True)}
    assert published(moderated) == []
    assert moderated.get(f"/api/comment/1/{comment['id']}").status_code == 404
    assert moderated.get("/api/moderation/held", headers=AUTH).get_json() == [comment]
    assert approve(moderated, comment["id"]).status_code == 200
    assert published(moderated) == ["first post!"]
    assert held(moderated) == []


def test_an_approved_comment_gets_a_new_id_and_keeps_its_time(moderated: FlaskClient) -> None:
    before = post(moderated).get_json()
    approved = approve(moderated, before["id"])
    after = approved.get_json()
    assert after.pop("status") == "SUCCESS"
    assert after.pop("message") == f"comment {before['id']} of content_id 1 approved"
    assert after["id"] > before["id"]
    assert after == ALICE | {"id": after["id"], "created_at": before["created_at"]}
    assert approved.headers["Location"] == f"/api/comment/1/{after['id']}"
    assert moderated.get(approved.headers["Location"]).get_json() == after


def test_approving_twice_publishes_one_comment(moderated: FlaskClient) -> None:
    comment_id = post(moderated).get_json()["id"]
    first, again = approve(moderated, comment_id), approve(moderated, comment_id)
    assert (again.status_code, again.get_json()["id"]) == (200, first.get_json()["id"])
    assert published(moderated) == ["first post!"]


def test_the_moderators_own_comment_is_published_immediately(moderated: FlaskClient) -> None:
    assert post(moderated, AUTH).status_code == 200
    assert post(moderated, {"Authorization": "Bearer wrong"}).status_code == 202
    assert published(moderated) == ["first post!"]


def test_held_comments_of_all_threads_are_listed_by_page(moderated: FlaskClient) -> None:
    ids = [post(moderated, content_id=number).get_json()["id"] for number in (3, 1, 2, 1, 3)]
    url, pages = "/api/moderation/held?limit=2", []
    while True:
        response = moderated.get(url, headers=AUTH)
        pages.append([comment["id"] for comment in response.get_json()])
        url = response.headers["Link"].split(">")[0][1:]
        if 'results="false"' in response.headers["Link"]:
            break
    assert pages == [ids[:2], ids[2:4], ids[4:]]


@pytest.mark.parametrize("query", ["limit=0", "after=x", "order=desc", "page=2"])
def test_an_invalid_query_is_rejected(moderated: FlaskClient, query: str) -> None:
    response = moderated.get(f"/api/moderation/held?{query}", headers=AUTH)
    assert response.status_code == 400
    assert response.get_json()["errors"][0]["field"] == query.partition("=")[0]


def test_a_deleted_comment_is_gone_whether_published_or_held(moderated: FlaskClient) -> None:
    for comment_id in (post(moderated, AUTH).get_json()["id"], post(moderated).get_json()["id"]):
        deleted = moderated.delete(f"/api/moderation/1/{comment_id}", headers=AUTH)
        assert deleted.status_code == 200
        message = f"comment {comment_id} of content_id 1 deleted"
        assert deleted.get_json() == {"status": "SUCCESS", "message": message, "id": comment_id}
        assert moderated.delete(f"/api/moderation/1/{comment_id}", headers=AUTH).status_code == 404
    assert published(moderated) == []
    assert held(moderated) == []


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
def test_an_unknown_comment_is_not_found(moderated: FlaskClient, method: str, path: str) -> None:
    response = moderated.open(path, method=method, headers=AUTH)
    assert response.status_code == 404
    message = f"comment {UNKNOWN} not found in content_id 1"
    assert response.get_json() == {"status": "NOT-FOUND", "message": message}


@pytest.mark.parametrize(("thread", "comment_id", "field"), [("0", UNKNOWN, "content_id"), ("1", "x", "id")])
def test_an_invalid_value_in_a_url_is_named(moderated: FlaskClient, thread: str, comment_id: str, field: str) -> None:
    for response in (
        moderated.delete(f"/api/moderation/{thread}/{comment_id}", headers=AUTH),
        moderated.post(f"/api/moderation/{thread}/{comment_id}/approve", headers=AUTH),
    ):
        assert response.status_code == 400
        assert [error["field"] for error in response.get_json()["errors"]] == [field]


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     f"Bearer {TOKEN.upper()}", "Bearer \u00fc", "Bearer \x80\xff"],
)  # fmt: skip
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_token_nothing_happens(sqlite: CommentStore, method: str, path: str, given: str | None) -> None:
    client = create_app(Settings(moderator_token=SecretStr(TOKEN), moderation=True), sqlite).test_client()
    comment_id = post(client).get_json()["id"]
    headers = {} if given is None else {"Authorization": given}
    response = client.open(path.replace(UNKNOWN, comment_id), method=method, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.get_json()["status"] == "UNAUTHORIZED"
    assert TOKEN not in response.text
    assert held(client) == [comment_id]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("headers", [{}, AUTH, {"Authorization": "Bearer "}])
def test_the_routes_do_not_exist_unless_a_token_is_set(
    sqlite: CommentStore, method: str, path: str, headers: dict[str, str]
) -> None:
    client = create_app(Settings(), sqlite).test_client()
    assert client.open(path, method=method, headers=headers).status_code == 404
    assert post(client, headers).status_code == 200


def test_only_the_moderator_posts_to_the_status_thread(sqlite: CommentStore) -> None:
    client = create_app(Settings(moderator_token=SecretStr(TOKEN), status_thread=7), sqlite).test_client()
    rejected = post(client, content_id=7)
    assert (rejected.status_code, rejected.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert post(client, AUTH, content_id=7).status_code == 200
    assert post(client, content_id=8).status_code == 200
    assert len(client.get("/api/comment/list/7").get_json()) == 1


@pytest.mark.parametrize("emails", ["mask", "hide"])
def test_only_the_moderator_sees_email_addresses(sqlite: CommentStore, emails: str) -> None:
    settings = Settings.model_validate({"moderator_token": TOKEN, "moderation": True, "emails": emails})
    client = create_app(settings, sqlite).test_client()
    posted = post(client)
    assert "alice@example.com" not in posted.text
    (waiting,) = client.get("/api/moderation/held", headers=AUTH).get_json()
    approved = approve(client, waiting["id"])
    assert waiting["email"] == approved.get_json()["email"] == "alice@example.com"
    assert "alice@example.com" not in client.get(approved.headers["Location"]).text
