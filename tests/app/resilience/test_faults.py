"""DynamoDB failures: requests that need it get 503 or 429 in bounded time, others succeed, and the service recovers."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.app import faults
from tests.app.support import Serve, create_table, wait_until
from tests.client import Answer, ask

CLIENTS = 12

FAULTS = {
    "throttling": (faults.over_the_ceiling, 429, 429),
    "time-out": (faults.hang, 503, 503),
    "lost-writes": (faults.lose_writes, 503, 200),
}
"""With the statuses of a post and of a list; tests/app/test_dynamodb.py has more."""


def test_a_failing_store_is_an_error_that_affects_nothing_else(serve: Serve, proxy: faults.Faults) -> None:
    """One service for all faults: it must recover from each without a restart."""
    service = serve(COMMENTS_STORE=f"dynamodb://{create_table()}", AWS_ENDPOINT_URL_DYNAMODB=proxy.url)
    thread = f"{service.url}/api/comment/list/1?limit=1000"

    def post(text: str) -> Answer:
        new = {"email": "reader@example.com", "comment": text, "content_id": 1}
        return ask(f"{service.url}/api/comment/new", "POST", new, Idempotency_Key=text)

    assert post("first").status == 200  # so that there is a thread to read
    for name, (fault, writing, reading) in FAULTS.items():
        texts = [f"{name}-{number}" for number in range(CLIENTS)]
        proxy.always = fault
        with ThreadPoolExecutor(2 * CLIENTS) as users:
            responses = [users.submit(post, text) for text in texts]
            responses += [users.submit(ask, thread) for _ in range(CLIENTS)]
            while not all(response.done() for response in responses):
                assert service.healthy()
                time.sleep(0.05)
            expected = "OK" if reading == 200 else "DEGRADED"
            wait_until(lambda: ask(f"{service.url}/api/status").body["status"] == expected)  # noqa: B023  # ends before the next round
        assert [response.result().status for response in responses] == [writing] * CLIENTS + [reading] * CLIENTS
        for response in responses:
            assert ("Retry-After" in response.result().headers) == (response.result().status != 200)
        proxy.always = faults.well
        for text in texts:
            assert post(text).status == 200
        stored = Counter(each["comment"] for each in ask(thread).body)
        assert [stored[text] for text in texts] == [1] * CLIENTS
