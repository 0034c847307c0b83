"""More concurrent requests than the service can handle at once."""

import fcntl
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.app.conftest import Server, wait_until
from tests.resilience.conftest import Connection, comment, connect, get, post

CLIENTS = 300


def send_all(port: int, stack: ExitStack, *requests: bytes) -> list[Connection]:
    """Send the requests in turn, each on its own connection, and don't wait for responses."""
    clients = [stack.enter_context(connect(port)) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        client.send(requests[number % len(requests)])
    return clients


def statuses(clients: list[Connection]) -> Counter[int]:
    return Counter(response.status if (response := client.response()) else 0 for client in clients)


def test_writes_that_wait_too_long_are_503_and_everything_else_works(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve()
    with connect(server.port) as connection:
        assert connection.ask(post(comment())).status == 200
        with ExitStack() as stack:
            lock = stack.enter_context((tmp_path / "comments.db.lock").open())
            fcntl.flock(lock, fcntl.LOCK_EX)
            waiting = send_all(server.port, stack, post(comment()))
            assert server.healthy()
            assert len(connection.ask(get(b"/api/comment/list/1")).json()) == 1
            assert statuses(waiting) == {503: CLIENTS}
        wait_until(lambda: connection.ask(post(comment())).status == 200, server.process)
        # None of those that got a 503 is stored after all.
        assert len(connection.ask(get(b"/api/comment/list/1")).json()) == 2


def test_a_flood_of_requests_is_answered(serve: Callable[..., Server]) -> None:
    server = serve()
    with connect(server.port) as connection:
        assert connection.ask(post(comment())).status == 200
    with ExitStack() as stack, ThreadPoolExecutor(1) as observer:
        clients = send_all(server.port, stack, post(comment()), get(b"/api/comment/list/1"), get(b"/status"))
        health = observer.submit(server.healthy)
        assert statuses(clients) == {200: CLIENTS}
        assert health.result()
    assert server.healthy()
