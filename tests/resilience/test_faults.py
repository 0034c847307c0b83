"""DynamoDB failures: requests that need it get 503 in bounded time, others succeed, and the service recovers."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.app import faults
from tests.app.conftest import Server, create_table, serving
from tests.app.faults import Faults
from tests.client import Answer, ask

CLIENTS = 12

FAULTS = {
    "throttling": (faults.refuse(400, "ThrottlingException"), 503),
    "access-denied": (faults.refuse(400, "AccessDeniedException"), 503),
    "time-out": (faults.hang, 503),
    "lost-writes": (faults.lose_writes, 200),
}
"""Retried after a pause, not retried, never processed, and processed without a response; tests/app has more of each.

The number is the status of a request that only reads.
"""


@pytest.fixture(scope="module")
def store(dynamodb: str) -> Iterator[Faults]:
    with faults.serving(dynamodb) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def service(store: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for all faults: it must recover from each without a restart."""
    settings = {"COMMENTS_STORE": f"dynamodb://{create_table()}", "AWS_ENDPOINT_URL_DYNAMODB": store.url}
    with serving(tmp_path_factory.mktemp("faults"), settings) as running:
        yield running


def post(service: Server, text: str) -> Answer:
    new = {"email": "reader@example.com", "comment": text, "content_id": 1}
    return ask(f"{service.url}/api/comment/new", "POST", new, Idempotency_Key=text)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_store_is_503_and_affects_nothing_else(service: Server, store: Faults, name: str) -> None:
    fault, reading = FAULTS[name]
    texts = [f"{name}-{number}" for number in range(CLIENTS)]
    thread = f"{service.url}/api/comment/list/1?limit=1000"
    assert post(service, "first").status == 200  # so that there is a thread to read
    store.always = fault
    with ThreadPoolExecutor(2 * CLIENTS) as users:
        responses = [users.submit(post, service, text) for text in texts]
        responses += [users.submit(ask, thread) for _ in range(CLIENTS)]
        while not all(response.done() for response in responses):
            assert service.healthy()
            time.sleep(0.05)
        assert ask(f"{service.url}/api/status").body["status"] == ("OK" if reading == 200 else "DEGRADED")
    assert [response.result().status for response in responses] == [503] * CLIENTS + [reading] * CLIENTS
    for response in responses:
        assert ("Retry-After" in response.result().headers) == (response.result().status == 503)
    store.always = faults.well
    for text in texts:
        assert post(service, text).status == 200
    stored = Counter(each["comment"] for each in ask(thread).body)
    assert [stored[text] for text in texts] == [1] * CLIENTS
