"""Slow clients, clients that never read, and more requests than the service can handle at once don't block others."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.app.resilience.connection import HEALTH, comment, connect, framed, get, post
from tests.app.support import Server

CLIENTS = 500
PAGE = get(b"/api/comment/list/8?limit=110")
"""A page that is larger than what the kernel buffers."""
KINDS = {
    "sends nothing": (b"", b""),
    "drips headers": (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"a"),
    "drips a body": (framed(b"Content-Length: 60000", body=b"{"), b" "),
    "never reads": (PAGE, b""),
}
"""Bytes that a slow client sends first, and then between the requests of other users."""

threads = itertools.count(1000)


@pytest.fixture(scope="module", autouse=True)
def large_page(server: Server) -> None:
    with connect(server.port) as connection:
        for _ in range(110):
            assert connection.ask(post(comment(b"x" * 9_000, content_id=b"8"))).status == 200


@pytest.mark.parametrize(("first", "then"), KINDS.values(), ids=KINDS)
def test_500_slow_clients_do_not_block_other_users(server: Server, first: bytes, then: bytes) -> None:
    thread = b"%d" % next(threads)
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(server.port, receive_buffer=4096)) for _ in range(CLIENTS)]
        for client in slow:
            client.send(first)
        for number in range(1, 11):
            for client in slow:
                client.send(then)
            with connect(server.port) as connection:  # a new one each time, as new users have
                assert connection.ask(post(comment(content_id=thread))).status == 200
                assert len(connection.ask(get(b"/api/comment/list/" + thread)).json()) == number
                assert connection.ask(HEALTH).status == 200


def test_a_flood_of_requests_is_answered(server: Server) -> None:
    requests = itertools.cycle([post(comment(content_id=b"9")), get(b"/api/comment/list/8?limit=1"), get(b"/status")])
    with ExitStack() as stack, ThreadPoolExecutor(1) as observer:
        clients = [stack.enter_context(connect(server.port)) for _ in range(CLIENTS)]
        for client in clients:
            client.send(next(requests))
        health = observer.submit(server.healthy)
        responses = [client.response() for client in clients]
        assert [response and response.status for response in responses] == [200] * CLIENTS
        assert health.result()
