"""Moderator routes: what the moderator can do, and that nobody else can."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comments.stores import CommentStore
from tests.app.support import ALICE, AUTH, TOKEN, UNKNOWN, client_of, links, location, post

ROUTES = [
    ("GET", "/api/moderation/held"),
    ("GET", "/api/moderation/recent"),
    ("GET", f"/api/moderation/1/{UNKNOWN}"),
    ("POST", f"/api/moderation/1/{UNKNOWN}/approve"),
    ("DELETE", f"/api/moderation/1/{UNKNOWN}"),
]


@pytest.fixture
def moderated(store: CommentStore) -> FlaskClient:
    return client_of(store, moderator_token=TOKEN, hold="all")


def approve(client: FlaskClient, comment_id: str, content_id: int = 1) -> TestResponse:
    return client.post(f"/api/moderation/{content_id}/{comment_id}/approve", headers=AUTH)


def held(client: FlaskClient) -> list[str]:
    return [comment["id"] for comment in client.get("/api/moderation/held", headers=AUTH).get_json()]


def test_a_new_comment_is_published_under_a_new_id_when_it_is_approved(moderated: FlaskClient) -> None:
    posted = post(moderated)
    assert posted.status_code == 202
    assert "Location" not in posted.headers
    waiting = posted.get_json()
    assert waiting.pop("status") == "HELD"
    assert waiting.pop("message") == "comment is pending approval in content_id 1"
    assert waiting.items() >= ALICE.items() | {("held", True)}
    for path in ("/api/comment/list/1", f"/api/comment/1/{waiting['id']}"):
        assert moderated.get(path).status_code == 404
    assert moderated.get("/api/moderation/held", headers=AUTH).get_json() == [waiting]

    response = approve(moderated, waiting["id"])
    assert response.status_code == 200
    published = response.get_json()
    assert published.pop("status") == "SUCCESS"
    assert published.pop("message") == f"comment {waiting['id']} of content_id 1 approved"
    assert published["id"] > waiting["id"]
    assert published == ALICE | {"id": published["id"], "created_at": waiting["created_at"]}
    assert location(response).endswith(f"/api/comment/1/{published['id']}")
    assert moderated.get(location(response)).get_json() == published
    moved = moderated.get(f"/api/comment/1/{waiting['id']}")
    assert (moved.status_code, moved.get_json(), location(moved)) == (301, published, location(response))
    assert moderated.get(f"/api/comment/2/{waiting['id']}").status_code == 404
    again = approve(moderated, waiting["id"])
    assert (again.status_code, again.get_json()) == (200, response.get_json())
    assert moderated.get("/api/comment/list/1").get_json() == [published]
    assert held(moderated) == []
    assert moderated.delete(f"/api/moderation/1/{published['id']}", headers=AUTH).status_code == 200
    assert moderated.get(f"/api/comment/1/{waiting['id']}").status_code == 404


def test_a_comment_is_deleted_in_its_thread_and_gone_whether_published_or_held(moderated: FlaskClient) -> None:
    for comment_id in (post(moderated, AUTH).get_json()["id"], post(moderated).get_json()["id"]):
        assert moderated.delete(f"/api/moderation/2/{comment_id}", headers=AUTH).status_code == 404
        assert approve(moderated, comment_id, content_id=2).status_code == 404
        deleted = moderated.delete(f"/api/moderation/1/{comment_id}", headers=AUTH)
        assert deleted.status_code == 200
        message = f"comment {comment_id} of content_id 1 deleted"
        assert deleted.get_json() == {"status": "SUCCESS", "message": message, "id": comment_id}
        not_found = {"status": "NOT-FOUND", "message": f"comment {comment_id} not found in content_id 1"}
        for response in (
            moderated.delete(f"/api/moderation/1/{comment_id}", headers=AUTH),
            approve(moderated, comment_id),
            moderated.get(f"/api/comment/1/{comment_id}"),
        ):
            assert (response.status_code, response.get_json()) == (404, not_found)
    assert moderated.get("/api/comment/list/1").status_code == 404
    assert held(moderated) == []


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     f"Bearer {TOKEN.upper()}", "Bearer \u00fc", "Bearer \x80\xff"],
)  # fmt: skip
def test_without_the_token_nothing_happens(moderated: FlaskClient, given: str | None) -> None:
    comment_id = post(moderated).get_json()["id"]
    for method, path in ROUTES:
        headers = {} if given is None else {"Authorization": given}
        response = moderated.open(path.replace(UNKNOWN, comment_id), method=method, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.get_json()["status"] == "UNAUTHORIZED"
        assert TOKEN not in response.text
    assert held(moderated) == [comment_id]


def test_routes_and_page_do_not_exist_unless_a_token_is_set(on_sqlite: FlaskClient) -> None:
    for method, path in (*ROUTES, ("GET", "/moderate")):
        response = on_sqlite.open(path, method=method)
        assert (response.status_code, response.get_json()["status"]) == (404, "NOT-FOUND")
        assert on_sqlite.open(path, method=method, headers=AUTH).status_code == 401
    assert "/moderate" not in on_sqlite.get("/").text


def test_only_the_moderator_posts_to_the_status_thread(sqlite: CommentStore) -> None:
    client = client_of(sqlite, moderator_token=TOKEN, status_thread=7)
    rejected = post(client, content_id=7)
    assert (rejected.status_code, rejected.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert post(client, AUTH, content_id=7).status_code == 200
    assert post(client, content_id=8).status_code == 200
    assert len(client.get("/api/comment/list/7").get_json()) == 1


@pytest.mark.parametrize(
    ("emails", "shown"), [("show", "alice@example.com"), ("mask", "a***@example.com"), ("hide", None)]
)
def test_the_moderator_sees_every_address_and_publishes_comments_immediately(
    sqlite: CommentStore, emails: str, shown: str | None
) -> None:
    client = client_of(sqlite, moderator_token=TOKEN, hold="all", emails=emails)
    pending, posted = post(client), post(client, AUTH)
    assert (pending.status_code, posted.status_code) == (202, 200)
    (waiting,) = client.get("/api/moderation/held", headers=AUTH).get_json()
    approved = approve(client, waiting["id"])
    assert waiting["email"] == approved.get_json()["email"] == "alice@example.com"
    got, listed = client.get(location(approved)), client.get("/api/comment/list/1").get_json()
    for comment in (pending.get_json(), posted.get_json(), got.get_json(), *listed):
        assert comment.get("email") == shown
    # Lists of threads and single comments, with the token:
    for path in ("/api/comment/list/1", f"/api/comment/1/{posted.get_json()['id']}"):
        comments = client.get(path, headers=AUTH).get_json()
        assert {each["email"] for each in (comments if isinstance(comments, list) else [comments])} == {
            "alice@example.com"
        }


def test_the_newest_comments_of_all_threads_are_listed_and_searched(moderated: FlaskClient) -> None:
    published = post(moderated, AUTH, name="Zoe", page="/posts/hello").get_json()
    pending = post(moderated, comment="Buy watches", content_id=2).get_json()
    other = post(moderated, AUTH, email="bob@WATCHES.example", content_id=3).get_json()
    for path in ("/api/moderation/recent", "/api/moderation/recent?limit=1"):
        found, url = [], path
        while url:
            response = moderated.get(url, headers=AUTH)
            found += response.get_json()
            url = links(response).get("next", "")
        assert [each["id"] for each in found] == [other["id"], pending["id"], published["id"]]
        assert found[1] == moderated.get("/api/moderation/held", headers=AUTH).get_json()[0]
        assert found[2].items() >= {"name": "Zoe", "email": "alice@example.com", "page": "/posts/hello"}.items()
    for text, ids in (
        ("watches", [other["id"], pending["id"]]),
        ("ZOE", [published["id"]]),
        ("/posts/", [published["id"]]),
        ("nothing", []),
    ):
        listed = moderated.get("/api/moderation/recent", query_string={"text": text, "limit": 1}, headers=AUTH)
        assert [each["id"] for each in listed.get_json()] == ids


def test_a_search_continues_after_a_thousand_comments(sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comments.http.moderation.MAX_LIMIT", 2)
    client = client_of(sqlite, moderator_token=TOKEN)
    oldest, *_ = [post(client, comment=text).get_json()["id"] for text in ("needle", "hay", "hay")]
    first = client.get("/api/moderation/recent?text=needle", headers=AUTH)
    assert first.get_json() == []
    (found,) = client.get(links(first)["next"], headers=AUTH).get_json()
    assert found["id"] == oldest


def test_a_single_comment_is_found_before_and_after_its_approval(moderated: FlaskClient) -> None:
    pending = post(moderated).get_json()
    path = f"/api/moderation/1/{pending['id']}"
    assert moderated.get(path, headers=AUTH).get_json().items() >= {"held": True, "email": ALICE["email"]}.items()
    published = approve(moderated, pending["id"]).get_json()
    found = moderated.get(path, headers=AUTH).get_json()
    assert (found["id"], found.get("held")) == (published["id"], None)
    assert moderated.get(f"/api/moderation/2/{pending['id']}", headers=AUTH).status_code == 404


def test_a_moderator_answers_with_a_badge(moderated: FlaskClient) -> None:
    comment = post(moderated, AUTH).get_json()
    answer = post(moderated, AUTH, name="The editors", comment="Thank you!", parent=comment["id"])
    assert answer.status_code == 200
    (_, listed) = moderated.get("/api/comment/list/1").get_json()
    assert listed.items() >= {"moderator": True, "parent": comment["id"], "name": "The editors"}.items()
