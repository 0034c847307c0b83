"""More concurrent requests than the service can handle at once."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.app.conftest import Server
from tests.resilience.conftest import comment, connect, get, post

CLIENTS = 300
REQUESTS = (post(comment()), get(b"/api/comment/list/1"), get(b"/status"))


def test_a_flood_of_requests_is_answered(serve: Callable[..., Server]) -> None:
    server = serve()
    with connect(server.port) as connection:
        assert connection.ask(post(comment())).status == 200
    with ExitStack() as stack, ThreadPoolExecutor(1) as observer:
        clients = [stack.enter_context(connect(server.port)) for _ in range(CLIENTS)]
        for client, request in zip(clients, itertools.cycle(REQUESTS)):
            client.send(request)
        health = observer.submit(server.healthy)
        responses = [client.response() for client in clients]
        assert [response and response.status for response in responses] == [200] * CLIENTS
        assert health.result()
    assert server.healthy()
