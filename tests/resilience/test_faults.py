"""DynamoDB failures: requests that need it get 503 in bounded time, others succeed, and the service recovers."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.app import faults
from tests.app.conftest import Server, create_table, serving
from tests.app.faults import Faults
from tests.resilience.conftest import Response, comment, connect, get, post

THREAD = get(b"/api/comment/list/1?limit=1000")
CLIENTS = 12

FAULTS = {
    "throttling": faults.refuse(400, "ThrottlingException"),
    "access-denied": faults.refuse(400, "AccessDeniedException"),
    "lost-response": faults.lose,
    "time-out": faults.hang,
}
"""Retried after a pause, not retried, processed without a response, and never processed; tests/app has more of each."""


@pytest.fixture(scope="module")
def store(dynamodb: str) -> Iterator[Faults]:
    create_table("faults")
    with faults.serving(dynamodb) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def service(store: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for all faults: it must recover from each without a restart."""
    settings = {"COMMENTS_STORE": "dynamodb://faults", "AWS_ENDPOINT_URL_DYNAMODB": store.url}
    with serving(tmp_path_factory.mktemp("faults"), settings) as running:
        yield running


def ask(service: Server, request: bytes) -> Response:
    """Send a request. Times out after 30 s, more than the store's longest call."""
    with connect(service.port) as connection:
        return connection.ask(request)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_store_is_503_and_affects_nothing_else(service: Server, store: Faults, name: str) -> None:
    texts = [f"{name}-{number}" for number in range(CLIENTS)]
    posts = [post(comment(b'"%s"' % text.encode()), b"Idempotency-Key: " + text.encode()) for text in texts]
    store.always = FAULTS[name]
    with ThreadPoolExecutor(2 * CLIENTS) as users:
        responses = [users.submit(ask, service, request) for request in (*posts, *[THREAD] * CLIENTS)]
        while not all(response.done() for response in responses):
            assert service.healthy()
            time.sleep(0.05)
        assert ask(service, get(b"/api/status")).json()["status"] == "DEGRADED"
    for response in responses:
        assert response.result().status == 503
        assert response.result().headers["Retry-After"]
    store.always = faults.well
    for request in posts:
        assert ask(service, request).status == 200
    stored = Counter(each["comment"] for each in ask(service, THREAD).json())
    assert [stored[text] for text in texts] == [1] * CLIENTS


def test_a_comment_is_stored_once_although_all_responses_to_its_write_were_lost(service: Server, store: Faults) -> None:
    request = post(comment(b'"written"'), b"Idempotency-Key: written")
    store.always = faults.lose_writes
    assert ask(service, request).status == 503
    store.always = faults.well
    stored = [each["id"] for each in ask(service, THREAD).json() if each["comment"] == "written"]
    assert len(stored) == 1
    assert ask(service, request).json()["id"] == stored[0]
    assert [each["comment"] for each in ask(service, THREAD).json()].count("written") == 1
