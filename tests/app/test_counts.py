"""GET /api/comment/counts."""

import pytest
from botocore.stub import Stubber
from flask.testing import FlaskClient

from comments.canonical import thread_of
from comments.stores import CommentStore
from comments.stores.dynamodb import DynamoDBStore
from tests.app.support import TOKEN, Log, client_of, create_table, post


def test_threads_and_pages_are_counted_in_the_order_of_the_parameters(store: CommentStore) -> None:
    client = client_of(store, moderator_token=TOKEN, hold="links")
    post(client)
    post(client)
    post(client, comment="pending: https://example.com")
    post(client, page="/posts/hello")
    response = client.get("/api/comment/counts?page=/posts/hello/index.html&content_id=7&content_id=1&page=/a")
    assert response.status_code == 200
    assert response.get_json() == [
        {"content_id": 7, "count": 0},
        {"content_id": 1, "count": 2},
        {"content_id": thread_of("/posts/hello"), "page": "/posts/hello", "count": 1},
        {"content_id": thread_of("/a"), "page": "/a", "count": 0},
    ]
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert client.get("/api/comment/counts").get_json() == []


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("&".join(f"page=/{number}" for number in range(51)), "page", "must have at most 50 items"),
        ("content_id=1&content_id=01", "content_id", "must be the number of a thread"),
        ("page=/a&page=b", "page", "must be a path"),
        ("id=1", "id", "is unknown"),
    ],
)
def test_an_invalid_parameter_is_named(on_sqlite: FlaskClient, query: str, field: str, message: str) -> None:
    response = on_sqlite.get(f"/api/comment/counts?{query}")
    (error,) = response.get_json()["errors"]
    assert (response.status_code, error["field"]) == (400, field)
    assert message in error["message"]


@pytest.mark.usefixtures("dynamodb")
def test_on_dynamodb_a_process_reads_a_count_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters are read for each visitor of an index page."""
    store = DynamoDBStore(create_table())
    client = client_of(store)
    path = "/api/comment/counts?content_id=1&content_id=2"
    assert [each["count"] for each in client.get(path).get_json()] == [0, 0]
    post(client)
    assert [each["count"] for each in client.get(path).get_json()] == [0, 0]
    monkeypatch.setattr("comments.stores.dynamodb.COUNT_SECONDS", 0)
    assert [each["count"] for each in client.get(path).get_json()] == [1, 0]


@pytest.mark.usefixtures("dynamodb")
def test_a_comment_is_stored_even_if_it_cannot_be_counted(log: Log) -> None:
    store = DynamoDBStore(create_table())
    client = client_of(store)
    with Stubber(store._table.client) as stubber:
        stubber.add_response("put_item", {})
        stubber.add_client_error("update_item", "AccessDeniedException", "no")
        assert post(client).status_code == 200
    assert "the count of content_id 1 is wrong" in log.getvalue()
