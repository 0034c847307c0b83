"""What the moderator does, and that nobody else can."""

import json

import pytest

from comments import create_app
from comments.settings import Settings
from tests.app.conftest import wait_until

TOKEN = "a-token-that-nobody-guesses"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
ALICE = {"email": "alice@example.com", "comment": "first post!", "content_id": 1}
MISSING = "01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"
ROUTES = [
    ("GET", "/api/moderation/held"),
    ("POST", f"/api/moderation/1/{MISSING}/approve"),
    ("DELETE", f"/api/comment/1/{MISSING}"),
]


@pytest.fixture
def moderated(store):
    return create_app(Settings(moderator_token=TOKEN, moderation=True), store).test_client()


def post(client, headers=None, **changes):
    return client.post("/api/comment/new", json=ALICE | changes, headers=headers or {})


def texts(client):
    answer = client.get("/api/comment/list/1")
    return [comment["comment"] for comment in answer.get_json()] if answer.status_code == 200 else []


def test_a_new_comment_is_held_until_it_is_approved_under_the_id_it_had(moderated):
    held = post(moderated)
    assert held.status_code == 202
    body = held.get_json()
    comment_id = body.pop("id")
    assert body == {"status": "HELD", "message": "comment held for approval before it is listed in content_id 1"}
    assert texts(moderated) == []
    (waiting,) = moderated.get("/api/moderation/held", headers=AUTH).get_json()
    assert waiting.items() >= {"id": comment_id, "held": True, **ALICE}.items()
    approved = moderated.post(f"/api/moderation/1/{comment_id}/approve", headers=AUTH)
    assert (approved.status_code, approved.get_json()["id"]) == (200, comment_id)
    (listed,) = moderated.get("/api/comment/list/1").get_json()
    assert listed.items() >= {"id": comment_id, **ALICE}.items()
    assert "held" not in listed
    assert moderated.get("/api/moderation/held", headers=AUTH).get_json() == []


def test_approved_comments_stand_in_the_order_in_which_they_were_posted(moderated):
    ids = [post(moderated, comment=text).get_json()["id"] for text in ("one", "two", "three")]
    for comment_id in reversed(ids):
        moderated.post(f"/api/moderation/1/{comment_id}/approve", headers=AUTH)
    assert texts(moderated) == ["one", "two", "three"]


def test_a_retry_of_a_held_comment_is_answered_alike_even_after_its_approval(moderated):
    key = {"Idempotency-Key": "k"}
    first = post(moderated, key)
    moderated.post(f"/api/moderation/1/{first.get_json()['id']}/approve", headers=AUTH)
    again = post(moderated, key)
    assert (again.status_code, again.get_json()) == (202, first.get_json())
    assert len(texts(moderated)) == 1


def test_the_moderators_own_comment_is_not_held(moderated):
    assert post(moderated, AUTH).status_code == 200
    assert post(moderated, {"Authorization": "Bearer wrong"}).status_code == 202
    assert texts(moderated) == ["first post!"]


def test_what_is_held_is_listed_by_page_over_all_threads(moderated):
    ids = [post(moderated, content_id=number).get_json()["id"] for number in (3, 1, 2, 1, 3)]
    url, seen, pages = "/api/moderation/held?limit=2", [], 0
    while url:
        answer = moderated.get(url, headers=AUTH)
        seen += [comment["id"] for comment in answer.get_json()]
        pages += 1
        link = answer.headers.get("Link")
        url = link and link[1 : link.index(">")]
    assert (seen, pages) == (ids, 3)
    for query in ("limit=0", "after=x"):
        assert moderated.get(f"/api/moderation/held?{query}", headers=AUTH).status_code == 400


def test_a_deleted_comment_is_gone_listed_or_held(moderated):
    listed, held = post(moderated, AUTH).get_json()["id"], post(moderated).get_json()["id"]
    for comment_id in (listed, held):
        deleted = moderated.delete(f"/api/comment/1/{comment_id}", headers=AUTH)
        assert (deleted.status_code, deleted.get_json()["id"]) == (200, comment_id)
        assert moderated.delete(f"/api/comment/1/{comment_id}", headers=AUTH).status_code == 404
    assert texts(moderated) == []
    assert moderated.get("/api/moderation/held", headers=AUTH).get_json() == []


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
def test_a_comment_that_is_not_there_is_not_found(moderated, method, path):
    answer = moderated.open(path, method=method, headers=AUTH)
    assert answer.status_code == 404
    assert answer.get_json() == {"status": "NOT-FOUND", "message": f"comment {MISSING} not found in content_id 1"}


@pytest.mark.parametrize(("thread", "comment_id", "field"), [("0", MISSING, "content_id"), ("1", "x", "id")])
def test_a_wrong_number_or_id_is_named(moderated, thread, comment_id, field):
    for answer in (
        moderated.delete(f"/api/comment/{thread}/{comment_id}", headers=AUTH),
        moderated.post(f"/api/moderation/{thread}/{comment_id}/approve", headers=AUTH),
    ):
        assert answer.status_code == 400
        assert [error["field"] for error in answer.get_json()["errors"]] == [field]


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     f"Bearer {TOKEN.upper()}", "Bearer \u00fc", "Bearer \x80\xff"],
)  # fmt: skip
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_token_nothing_is_done(moderated, method, path, given):
    comment_id = post(moderated).get_json()["id"]
    headers = {} if given is None else {"Authorization": given}
    answer = moderated.open(path.replace(MISSING, comment_id), method=method, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.get_json()["status"] == "UNAUTHORIZED"
    assert TOKEN not in answer.text
    assert len(moderated.get("/api/moderation/held", headers=AUTH).get_json()) == 1


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("headers", [{}, AUTH, {"Authorization": "Bearer "}])
def test_where_no_token_is_set_there_is_no_moderator(client, method, path, headers):
    assert client.open(path, method=method, headers=headers).status_code == 404
    assert post(client, headers).status_code == 200


def test_only_the_moderator_posts_to_the_thread_of_the_status_page(store):
    client = create_app(Settings(moderator_token=TOKEN, moderation=True, status_thread=7), store).test_client()
    refused = post(client, content_id=7)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert post(client, AUTH, content_id=7).status_code == 200
    assert len(client.get("/api/comment/list/7").get_json()) == 1


def test_a_thread_is_still_listed_by_get_alone(moderated):
    answer = moderated.delete("/api/comment/list/1", headers=AUTH)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_each_act_leaves_an_audit_line_and_no_secret(serve):
    server = serve(COMMENTS_MODERATOR_TOKEN=TOKEN, COMMENTS_MODERATION="on", GUNICORN_CMD_ARGS="--log-level warning")
    with server.connect() as connection:

        def send(method, path, body=None, headers=AUTH):
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.headers["X-Request-Id"], json.loads(response.read())

        _, held = send("POST", "/api/comment/new", json.dumps(ALICE), {})
        approved, _ = send("POST", f"/api/moderation/1/{held['id']}/approve")
        deleted, _ = send("DELETE", f"/api/comment/1/{held['id']}")
        send("DELETE", f"/api/comment/1/{held['id']}", headers={"Authorization": "Bearer a-wrong-secret-guess"})

    def lines():
        return [json.loads(line) for line in server.log.read_text().splitlines()]

    wait_until(lambda: len([line for line in lines() if line["message"] == "request"]) >= 4, server.process)
    acts = [line for line in lines() if line["message"] == "moderation"]
    assert [(line["action"], line["request_id"], line["content_id"], line["id"]) for line in acts] == [
        ("approve", approved, 1, held["id"]),
        ("delete", deleted, 1, held["id"]),
    ]
    assert all(line["client"] == "127.0.0.1" for line in acts)
    for secret in (TOKEN, "a-wrong-secret-guess", "first post!", "alice@example.com"):
        assert secret not in server.log.read_text()
