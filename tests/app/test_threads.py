"""Pages, names and replies, and what readers, authors and moderators see of them."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comments import canonical
from comments.cli import main
from comments.comment import NewComment
from comments.importers.candidates import StoredComment
from comments.stores import CommentStore, open_store
from tests.app.support import AUTH, TOKEN, UNKNOWN, Log, client_of, links, location

PAGE = "/posts/hello"
NAMED = {"name": "Alice", "comment": "first post!", "page": PAGE}
MINE, OTHER = {"Author-Token": "a" * 22}, {"Author-Token": "b" * 22}


@pytest.fixture
def moderated(store: CommentStore) -> FlaskClient:
    return client_of(store, moderator_token=TOKEN, hold="all")


def new(client: FlaskClient, headers: dict[str, str] | None = None, **changes: object) -> TestResponse:
    body = {name: value for name, value in (NAMED | changes).items() if value is not None}
    return client.post("/api/comment/new", json=body, headers=headers)


def listed(client: FlaskClient, page: str = PAGE) -> list[dict[str, Any]]:
    response = client.get("/api/comment/list", query_string={"page": page})
    return response.get_json() if response.status_code == 200 else []


def url_of(comment: dict[str, Any]) -> str:
    return f"/api/comment/{comment['content_id']}/{comment['id']}"


# Pages


@pytest.mark.parametrize("page", ["/posts/hello/", "/posts/./hello/index.html?utm_source=x#top"])
def test_a_page_is_a_thread_however_its_address_is_written(client: FlaskClient, page: str) -> None:
    posted = new(client, page=page).get_json()
    assert (posted["page"], posted["content_id"]) == (PAGE, 6039917878685857)
    assert [comment["id"] for comment in listed(client)] == [posted["id"]]
    assert client.get(f"/api/comment/list/{posted['content_id']}").get_json() == listed(client)
    assert client.get(url_of(posted)).get_json() == listed(client)[0]


def test_sites_that_share_a_service_have_threads_of_their_own(client: FlaskClient) -> None:
    for page in ("https://a.example/post", "http://b.example/post", "/post"):
        new(client, page=page, comment=page)
    assert [comment["comment"] for comment in listed(client, "https://A.example:443/post/")] == [
        "https://a.example/post"
    ]
    (comment,) = listed(client, "//b.example/post")  # the form in which responses contain it
    assert (comment["page"], comment["comment"]) == ("//b.example/post", "http://b.example/post")


def test_the_links_of_a_page_lead_through_its_thread(client: FlaskClient) -> None:
    page = "/a b/é?p=1"
    empty = client.get("/api/comment/list", query_string={"page": page})
    assert (empty.status_code, empty.get_json()["message"]) == (404, f"page {page} not found")
    for text in "123":
        new(client, page=page, comment=text)
    found, url = [], links(empty)["monitor"].replace("limit=1000", "limit=2")
    while url:
        response = client.get(url)
        found += [comment["comment"] for comment in response.get_json() if comment["comment"] not in found]
        url = links(response).get("next", "")
    assert found == ["1", "2", "3"]
    newest = client.get("/api/comment/list", query_string={"page": page, "order": "desc", "limit": 1})
    assert client.get(links(newest)["next"]).get_json()[0]["comment"] == "2"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"page": "posts/hello"}, "page"),
        ({"page": "ftp://a.example/"}, "page"),
        ({"page": "/a\nb"}, "page"),
        ({"page": "/" + "é" * 500}, "page"),
        ({"page": "/" + "%C3%A9" * 500}, "page"),
        ({"page": "/" + "%2F" * 1000}, "page"),
        ({"page": None}, "content_id"),
        ({"content_id": 1}, "content_id"),
        ({"name": None}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"email": None, "name": None}, "email"),
        ({"email": "alice"}, "email"),
        ({"parent": "1"}, "parent"),
    ],
)
def test_an_invalid_field_is_named(on_sqlite: FlaskClient, changes: dict[str, object], field: str) -> None:
    response = new(on_sqlite, None, **changes)
    assert response.status_code == 400
    assert [error["field"] for error in response.get_json()["errors"]] == [field]
    assert listed(on_sqlite) == []


@pytest.mark.parametrize(("source", "target"), [(PAGE, "/renamed/"), (PAGE, "7"), ("1", PAGE)])
def test_the_thread_of_a_renamed_page_is_moved(
    store: CommentStore,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    source: str,
    target: str,
) -> None:
    client = client_of(store, moderator_token=TOKEN, hold="all")
    where: dict[str, Any] = {"page": None, "content_id": 1} if source == "1" else {"page": source}
    first = new(client, AUTH, **where).get_json()
    reply = new(client, AUTH, **where, parent=first["id"]).get_json()
    pending = new(client, **where).get_json()
    new(client, AUTH, page="/other")
    copied = next(each for each in store.scan() if each["id"] == first["id"])  # by an import into both threads
    store.restore([{**copied, "content_id": 7 if target == "7" else canonical.thread_of(target.rstrip("/"))}])
    for _ in range(2):  # safe to repeat
        monkeypatch.setattr("sys.argv", ["comments", "move", source, target, "--store", store_url])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    assert f"0 moved from {source} to {target.rstrip('/')}\n" in capsys.readouterr().err
    moved = client.get("/api/comment/list/7").get_json() if target == "7" else listed(client, target)
    assert [(comment["id"], comment.get("parent")) for comment in moved] == [
        (first["id"], None),
        (reply["id"], first["id"]),
    ]
    page = {"/renamed/": "/renamed", "7": None, PAGE: PAGE}[target]
    held = client.get("/api/moderation/held", headers=AUTH).get_json()
    assert [(comment["id"], comment.get("page")) for comment in held] == [(pending["id"], page)]
    assert {comment.get("page") for comment in moved} == {page}
    assert client.get(f"/api/comment/list/{first['content_id']}").status_code == 404
    assert len(listed(client, "/other")) == 1


# Names and private addresses


@pytest.mark.parametrize("emails", ["show", "mask", "hide"])
def test_with_a_name_no_reader_receives_the_address(store: CommentStore, log: Log, emails: str) -> None:
    client = client_of(store, moderator_token=TOKEN, hold="all", emails=emails)
    secret = {"email": "alice@example.com", **MINE}
    posted = new(client, MINE, email="alice@example.com")
    pending = posted.get_json()
    approved = client.post(f"/api/moderation/{pending['content_id']}/{pending['id']}/approve", headers=AUTH)
    responses = [
        posted,
        new(client, MINE, email="alice@example.com", parent=UNKNOWN),
        new(client, MINE, email="alice@example.com", name="x" * 60),
        client.get("/api/comment/list", query_string={"page": PAGE}),
        client.get(url_of(approved.get_json())),
        client.get(url_of(pending)),
        client.patch(url_of(pending), json={"comment": "changed"}, headers=MINE),
        client.patch(url_of(pending), json={"comment": "changed"}, headers=OTHER),
        client.get("/api/status"),
    ]
    for value in (*secret.values(), "alice@", "author"):
        assert not [response for response in responses if value in response.text.replace("Author-Token", "")]
    assert approved.get_json()["email"] == "alice@example.com"
    assert secret["email"] not in log.getvalue()
    assert "a" * 22 not in log.getvalue()


# Replies


def test_a_reply_names_a_published_comment_of_its_thread(client: FlaskClient) -> None:
    first = new(client).get_json()
    reply = new(client, parent=first["id"]).get_json()
    assert reply["parent"] == first["id"]
    assert [comment.get("parent") for comment in listed(client)] == [None, first["id"]]
    elsewhere = new(client, page="/other").get_json()["id"]
    for parent in (UNKNOWN, elsewhere):
        response = new(client, parent=parent)
        assert (response.status_code, response.get_json()["status"]) == (409, "CONFLICT")
        assert [error["field"] for error in response.get_json()["errors"]] == ["parent"]
    assert len(listed(client)) == 2


def test_replies_remain_when_their_parent_is_deleted(store: CommentStore) -> None:
    client = client_of(store, moderator_token=TOKEN)
    first = new(client).get_json()
    reply = new(client, parent=first["id"]).get_json()
    client.delete(f"/api/moderation/{first['content_id']}/{first['id']}", headers=AUTH)
    assert [(comment["id"], comment["parent"]) for comment in listed(client)] == [(reply["id"], first["id"])]
    assert new(client, parent=first["id"]).status_code == 409


def test_a_reply_can_be_approved_after_its_parent_was_deleted(moderated: FlaskClient) -> None:
    first = new(moderated, AUTH).get_json()
    reply = new(moderated, parent=first["id"]).get_json()
    moderated.delete(f"/api/moderation/{first['content_id']}/{first['id']}", headers=AUTH)
    moderated.post(f"/api/moderation/{reply['content_id']}/{reply['id']}/approve", headers=AUTH)
    assert [comment["parent"] for comment in listed(moderated)] == [first["id"]]


def test_a_pending_comment_gets_replies_only_after_its_approval_also_by_its_old_id(moderated: FlaskClient) -> None:
    pending = new(moderated).get_json()
    assert new(moderated, AUTH, parent=pending["id"]).status_code == 409
    moderated.post(f"/api/moderation/{pending['content_id']}/{pending['id']}/approve", headers=AUTH)
    assert new(moderated, AUTH, parent=pending["id"]).status_code == 200
    moved = moderated.get(url_of(pending))
    assert moved.status_code == 301
    assert moderated.get(location(moved)).get_json()["comment"] == "first post!"


def test_a_reply_may_be_imported_before_its_parent(store: CommentStore) -> None:
    client = client_of(store)
    first = new(client).get_json()
    new(client, parent=first["id"])
    stored = list(store.scan())
    for comment in stored:
        store.delete(comment["content_id"], comment["id"])
    for comment in reversed(stored):
        assert store.restore([comment]) == 1
    assert list(store.scan()) == stored


# One's own comments


def test_authors_edit_and_delete_their_comments(client: FlaskClient) -> None:
    posted = new(client, MINE).get_json()
    edited = client.patch(url_of(posted), json={"comment": " changed "}, headers=MINE)
    assert (edited.status_code, edited.get_json()["comment"]) == (200, "changed")
    assert edited.get_json()["edited_at"] >= posted["created_at"]
    assert listed(client) == [edited.get_json()]
    assert client.delete(url_of(posted), headers=MINE).status_code == 200
    for response in (
        client.delete(url_of(posted), headers=MINE),
        client.patch(url_of(posted), json={"comment": "resurrected"}, headers=MINE),
    ):
        assert (response.status_code, response.get_json()["status"]) == (404, "NOT-FOUND")
    assert listed(client) == []


@pytest.mark.parametrize("headers", [OTHER, {}, {"Author-Token": "short"}, {"Author-Token": "ü" * 22}])
def test_nobody_else_changes_a_comment(client: FlaskClient, headers: dict[str, str]) -> None:
    posted, anonymous = new(client, MINE).get_json(), new(client).get_json()
    for comment in (posted, anonymous):
        for response in (
            client.patch(url_of(comment), json={"comment": "x"}, headers=headers),
            client.delete(url_of(comment), headers=headers),
        ):
            assert (response.status_code, response.get_json()["status"]) in {(403, "FORBIDDEN"), (400, "INVALID")}
            assert response.status_code == (403 if headers is OTHER else 400)
    assert len(listed(client)) == 2


def test_a_comment_can_be_edited_for_fifteen_minutes(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    posted = new(client, MINE).get_json()
    monkeypatch.setattr("comments.http.api.EDIT_SECONDS", -1)
    response = client.patch(url_of(posted), json={"comment": "late"}, headers=MINE)
    assert (response.status_code, response.get_json()["status"]) == (403, "FORBIDDEN")
    assert client.delete(url_of(posted), headers=MINE).status_code == 200


def test_with_moderation_only_pending_comments_can_be_edited(moderated: FlaskClient) -> None:
    pending = new(moderated, MINE).get_json()
    assert moderated.patch(url_of(pending), json={"comment": "changed"}, headers=MINE).status_code == 200
    approved = moderated.post(
        f"/api/moderation/{pending['content_id']}/{pending['id']}/approve", headers=AUTH
    ).get_json()
    assert approved["comment"] == "changed"
    for comment in (pending, approved):
        response = moderated.patch(url_of(comment), json={"comment": "not approved"}, headers=MINE)
        assert (response.status_code, response.get_json()["status"]) == (409, "CONFLICT")
    assert [comment["comment"] for comment in listed(moderated)] == ["changed"]
    assert moderated.delete(url_of(pending), headers=MINE).status_code == 200
    assert listed(moderated) == []


def test_edits_and_deletions_count_in_the_posting_limit(sqlite: CommentStore) -> None:
    client = client_of(sqlite, post_limit="3/hour")
    posted = new(client, MINE).get_json()
    assert client.patch(url_of(posted), json={"comment": "x"}, headers=MINE).status_code == 200
    assert client.patch(url_of(posted), json={"comment": "x"}, headers=OTHER).status_code == 403
    assert client.delete(url_of(posted), headers=MINE).status_code == 429


def test_every_field_is_returned_and_a_retry_must_have_the_same(client: FlaskClient) -> None:
    """Posts the example of each field, so a new field needs one."""
    schema = NewComment.model_json_schema()["properties"]
    given = {name: field["examples"][0] for name, field in schema.items() if name != "content_id"}
    given["parent"] = new(client, page=given["page"]).get_json()["id"]
    key = {"Idempotency-Key": "k"}
    first = new(client, key | MINE, **given).get_json()
    assert given.keys() - first.keys() == {"email"}, "add it to CommentOut"
    assert first.items() >= given.items() - {("email", given["email"])}
    client.patch(url_of(first), json={"comment": "changed"}, headers=MINE)
    assert new(client, key | MINE, **given).get_json() == first
    changed: list[dict[str, Any]] = [{name: None} for name in given if name not in {"comment", "page"}]
    for headers, changes in ((OTHER, {}), ({}, {}), (MINE, {"comment": "other"}), *((MINE, each) for each in changed)):
        assert new(client, key | headers, **given | changes).status_code == 422, changes
    assert len(listed(client, given["page"])) == 2


def test_a_retry_succeeds_although_the_parent_was_deleted_since(store: CommentStore) -> None:
    client = client_of(store, moderator_token=TOKEN)
    key, parent = {"Idempotency-Key": "k"}, new(client).get_json()
    first = new(client, key, parent=parent["id"]).get_json()
    client.delete(f"/api/moderation/{parent['content_id']}/{parent['id']}", headers=AUTH)
    assert new(client, key, parent=parent["id"]).get_json() == first


# Stored fields


def test_fields_of_a_later_release_survive_approval_edit_export_and_import(store: CommentStore, store_url: str) -> None:
    client = client_of(store, moderator_token=TOKEN, hold="all")
    pending = new(client, MINE).get_json()
    (stored,) = store.scan()
    later: Any = {**stored, "mood": "happy", "scores": [1, 2.5, {"x": None}]}
    store.delete(stored["content_id"], stored["id"])
    store.restore([StoredComment.parse(json.loads(json.dumps(later)))])
    client.patch(url_of(pending), json={"comment": "changed"}, headers=MINE)
    approved = client.post(f"/api/moderation/{pending['content_id']}/{pending['id']}/approve", headers=AUTH).get_json()
    assert "mood" not in approved
    opened = open_store(store_url)
    (exported,) = opened.scan()
    opened.close()
    kept = {name: value for name, value in later.items() if name != "held"}
    assert exported == kept | {"id": approved["id"], "comment": "changed", "edited_at": exported["edited_at"]}
    assert StoredComment.parse(dict(exported)) == exported
