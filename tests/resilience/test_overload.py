"""More requests than can be answered; `python -m bench.overload` measures it."""

import fcntl
import socket
import time

from bench.machine import cpu_seconds
from comments.serving.worker import WAITING
from tests.app.conftest import wait_until
from tests.resilience.requests import post, read

POST = b'{"email": "a@example.com", "comment": "%d", "content_id": 1}'
MORE = 40


def test_requests_beyond_the_queue_are_refused_at_once_and_the_balancer_notices_nothing(serve, tmp_path):
    """All threads wait for a commit; the queue behind them fills up, and what comes then is told to come back."""
    server = serve()
    assert post(server, "before").status == 200
    clients = []
    with (tmp_path / "comments.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number in range(WAITING + MORE):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            body = POST % number
            client.sendall(
                b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            clients.append(client)
        refused = clients[-1].recv(65536)
        assert server.healthy()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in refused
    assert b"too many requests are waiting already" in refused
    answers = [client.recv(65536)[:12] for client in clients[:-1]]
    assert set(answers) <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    [client.close() for client in clients]
    wait_until(lambda: post(server, "after").status == 200, server.process)
    assert len(read(server).body) == answers.count(b"HTTP/1.1 200") + 2
    assert "refused" in server.log.read_text()


def test_a_client_that_sends_more_before_its_answer_keeps_nobody_busy_and_gets_both(serve, tmp_path):
    """The loop would else be told without end of what it cannot take yet: a second of CPU in a second of waiting."""
    server = serve()
    assert post(server, "before").status == 200
    body = POST % 1
    head = b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with (tmp_path / "comments.db.lock").open() as lock, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(20)
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.sendall(head % len(body) + body)
        time.sleep(0.2)  # until a thread has it
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        before = cpu_seconds(server.process.pid)
        time.sleep(1)
        used = (cpu_seconds(server.process.pid) or 0) - (before or 0)
        fcntl.flock(lock, fcntl.LOCK_UN)
        answers = b"".join(iter(lambda: client.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith(b'{"status":"OK"}')
    assert used < 0.5
