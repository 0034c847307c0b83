"""The Idempotency-Key header: a retry is stored once and answered alike."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

ALICE = {"email": "alice@example.com", "comment": "first post!", "content_id": 1}


def post(client, key, **changes):
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/api/comment/new", json=ALICE | changes, headers=headers)


def test_a_replayed_key_stores_one_comment_and_gives_one_answer(client):
    first, again = post(client, "k"), post(client, "k")
    assert (first.status_code, first.get_json()) == (again.status_code, again.get_json())
    assert len(client.get("/api/comment/list/1").get_json()) == 1


def test_a_retry_may_be_written_otherwise_if_it_is_the_same_comment(client):
    first = post(client, "k")
    body = '{"content_id": 1,\n"comment": " first post! ", "email": "alice@example.com"}'
    again = client.post(
        "/api/comment/new", data=body, content_type="application/json", headers={"Idempotency-Key": "k"}
    )
    assert again.get_json() == first.get_json()


@pytest.mark.parametrize("change", [{"comment": "second"}, {"email": "eve@example.com"}, {"content_id": 2}])
def test_another_comment_under_the_same_key_is_refused(client, change):
    post(client, "k")
    refused = post(client, "k", **change)
    assert refused.status_code == 422
    assert refused.get_json() == {
        "status": "CONFLICT",
        "message": "Idempotency-Key: was used for another comment: send a new one",
        "errors": [{"field": "Idempotency-Key", "message": "was used for another comment: send a new one"}],
    }
    assert len(client.get("/api/comment/list/1").get_json()) == 1
    assert client.get("/api/comment/list/2").status_code == 404


def test_a_refused_comment_does_not_use_up_its_key(client):
    assert post(client, "k", email="alice").status_code == 400
    assert post(client, "k").status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00fc", "tab\there"])
def test_a_wrong_key_is_named(client, key):
    refused = post(client, key)
    assert refused.status_code == 400
    assert [error["field"] for error in refused.get_json()["errors"]] == ["Idempotency-Key"]
    assert client.get("/api/comment/list/1").status_code == 404


@pytest.mark.parametrize("key", ["x", "x" * 255, '"quoted"', "!~"])
def test_a_key_is_any_visible_text(client, key):
    assert post(client, key).status_code == 200


def test_fifty_parallel_posts_to_several_workers_get_one_answer(serve, store_url):
    server = serve(COMMENTS_STORE=store_url, WEB_CONCURRENCY="2")

    def send(_):
        with server.connect() as connection:
            headers = {"Content-Type": "application/json", "Idempotency-Key": "same"}
            connection.request("POST", "/api/comment/new", json.dumps(ALICE), headers)
            response = connection.getresponse()
            return response.status, response.read()

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(send, range(50)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 200
    with server.connect() as connection:
        connection.request("GET", "/api/comment/list/1")
        assert len(json.loads(connection.getresponse().read())) == 1
