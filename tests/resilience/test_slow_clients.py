"""Slow clients, and clients that never read, don't block other users."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.app.conftest import Server
from tests.resilience.conftest import HEALTH, Connection, comment, connect, framed, get, post

SLOW = 500
PAGE = get(b"/api/comment/list/8?limit=110")
"""A page that is larger than what the kernel buffers."""
KINDS = {
    "sends nothing": (b"", b""),
    "drips headers": (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"a"),
    "drips a body": (framed(b"Content-Length: 60000", body=b"{"), b" "),
    "never reads": (PAGE, b""),
}
"""Bytes that a slow client sends first, and then several times a second."""

threads = itertools.count(1000)


@pytest.fixture(scope="module", autouse=True)
def large_page(server: Server) -> None:
    with connect(server.port) as connection:
        for _ in range(110):
            assert connection.ask(post(comment(b'"%s"' % (b"x" * 9_000), content_id=b"8"))).status == 200


@contextmanager
def slow_clients(port: int, first: bytes, then: bytes) -> Iterator[None]:
    stop = threading.Event()

    def drip(clients: list[Connection]) -> None:
        while not stop.wait(0.2):
            for client in clients:
                client.send(then)

    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port, receive_buffer=4096)) for _ in range(SLOW)]
        for client in clients:
            client.send(first)
        dripping = stack.enter_context(ThreadPoolExecutor(1)).submit(drip, clients)
        stack.callback(stop.set)
        yield
    dripping.result()


@pytest.mark.parametrize(("first", "then"), KINDS.values(), ids=KINDS)
def test_500_slow_clients_do_not_block_other_users(server: Server, first: bytes, then: bytes) -> None:
    thread = b"%d" % next(threads)
    with slow_clients(server.port, first, then):
        for number in range(1, 11):
            with connect(server.port) as connection:  # a new one each time, as new users have
                assert connection.ask(post(comment(content_id=thread))).status == 200
                assert len(connection.ask(get(b"/api/comment/list/" + thread)).json()) == number
                assert connection.ask(HEALTH).status == 200


def test_a_slow_reader_gets_the_whole_response(server: Server) -> None:
    with connect(server.port, receive_buffer=4096) as slow:
        slow.send(PAGE)
        assert server.healthy()
        response = slow.response()
    assert response is not None
    assert len(response.json()) == 110
