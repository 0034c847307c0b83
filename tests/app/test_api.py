"""The contract of the API, over both stores."""

import re
from contextlib import closing

import pytest

from comments import create_app
from comments.settings import Settings
from comments.store import open_store

ALICE = {"email": "alice@example.com", "comment": "first post!", "content_id": 1}


def post(client, **changes):
    return client.post("/api/comment/new", json=ALICE | changes)


def test_a_new_comment_is_answered_as_the_contract_says(client):
    response = post(client)
    assert response.status_code == 200
    body = response.get_json()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", body.pop("id"))
    assert body == {"status": "SUCCESS", "message": "comment created and associated with content_id 1"}


def test_a_thread_lists_its_comments_in_the_order_of_creation(client):
    ids = [post(client, comment=text).get_json()["id"] for text in ("one", "two", "three")]
    response = client.get("/api/comment/list/1")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert [(c["id"], c["email"], c["comment"], c["content_id"]) for c in response.get_json()] == [
        (ids[0], "alice@example.com", "one", 1),
        (ids[1], "alice@example.com", "two", 1),
        (ids[2], "alice@example.com", "three", 1),
    ]
    assert "Link" not in response.headers


def test_a_thread_that_nobody_commented_on_is_not_found(client):
    response = client.get("/api/comment/list/9")
    assert response.status_code == 404
    assert response.get_json() == {"status": "NOT-FOUND", "message": "content_id 9 not found"}


def test_the_link_of_each_page_leads_to_the_next(client):
    texts = [f"comment {number}" for number in range(7)]
    for text in texts:
        post(client, comment=text)
    url, seen, pages = "/api/comment/list/1?limit=3", [], 0
    while url:
        response = client.get(url)
        seen += [comment["comment"] for comment in response.get_json()]
        link = re.fullmatch(r'<(/[^>]+)>; rel="next"', response.headers.get("Link", ""))
        url, pages = link and link[1], pages + 1
    assert (seen, pages) == (texts, 3)


def test_a_follower_at_the_end_of_a_thread_gets_an_empty_page(client):
    last = post(client).get_json()["id"]
    response = client.get(f"/api/comment/list/1?after={last}")
    assert (response.status_code, response.get_json()) == (200, [])


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "01", "x", "", "1.0", "\u0661"])
def test_a_wrong_limit_is_named(client, limit):
    response = client.get("/api/comment/list/1", query_string={"limit": limit})
    assert response.status_code == 400
    assert response.get_json()["errors"] == [{"field": "limit", "message": "must be a number from 1 to 1000"}]


@pytest.mark.parametrize("after", ["", "1", "00000000-0000-4000-8000-000000000000", "x" * 36])
def test_a_wrong_after_is_named(client, after):
    response = client.get("/api/comment/list/1", query_string={"after": after})
    assert response.status_code == 400
    assert response.get_json()["errors"][0]["field"] == "after"


@pytest.mark.parametrize(
    "content_id", ["0", "007", "-1", "1.0", "x", "%EF%BC%91", "9007199254740992", "1" * 400, "%00"]
)
def test_a_wrong_content_id_in_the_path_is_named(client, content_id):
    response = client.get(f"/api/comment/list/{content_id}")
    assert response.status_code == 400
    assert response.get_json()["errors"][0]["field"] == "content_id"


def test_the_largest_content_id_is_one(client):
    assert post(client, content_id=2**53 - 1).status_code == 200
    assert client.get(f"/api/comment/list/{2**53 - 1}").status_code == 200


@pytest.mark.usefixtures("dynamodb")
def test_a_store_that_cannot_answer_is_503_and_does_not_make_the_process_unhealthy(caplog):
    with closing(open_store("dynamodb://no-such-table")) as store:
        client = create_app(Settings(), store).test_client()
        for response in (post(client), client.get("/api/comment/list/1")):
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
            assert response.get_json()["status"] == "UNAVAILABLE"
            assert "no-such-table" not in response.text
        assert "the table no-such-table" in caplog.text
        health = client.get("/healthz")
        assert (health.status_code, health.get_json()) == (200, {"status": "OK"})
