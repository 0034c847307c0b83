"""Slow clients, many times as many as there are threads, cost others nothing; `python -m bench.slow` measures it."""

import socket

import pytest

from bench.slow import KINDS, SlowClients, fill, look
from tests.resilience.requests import post

MANY = 100


@pytest.mark.parametrize("kind", KINDS)
def test_slow_clients_do_not_stop_others(serve, kind):
    server = serve()
    address = ("127.0.0.1", server.port)
    fill(address)
    with SlowClients(address, kind, MANY):
        seen = look(address, seconds=1)
    assert seen.failed == 0
    assert len(seen.latencies) > 0


def test_a_client_that_reads_late_still_gets_its_whole_answer(serve):
    """More than the kernel buffers: the rest is sent when the client asks for it, by nobody's thread."""
    server = serve()
    fill(("127.0.0.1", server.port))
    with socket.socket() as late:
        late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        late.connect(("127.0.0.1", server.port))
        late.sendall(b"GET /api/comment/list/8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert post(server, "meanwhile").status == 200
        late.settimeout(20)
        received = b"".join(iter(lambda: late.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(body) == length > 1_000_000


@pytest.mark.parametrize("pause_at", [10, 60, 130])
def test_a_request_that_arrives_in_pieces_is_answered_as_if_at_once(serve, pause_at):
    server = serve()
    body = b'{"email": "a@example.com", "comment": "in pieces", "content_id": 3}'
    raw = (
        b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(raw[:pause_at])
        assert server.healthy()
        client.sendall(raw[pause_at:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_at_once_are_answered_in_their_order(serve):
    server = serve()
    paths = ["/healthz", "/api/comment/list/77", "/healthz"]
    raw = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths[:-1])
    raw += f"GET {paths[-1]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(raw.encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert [int(answer.split()[0]) for answer in received.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


def test_a_client_that_asks_first_is_told_to_send_its_body(serve):
    server = serve()
    body = b'{"email": "a@example.com", "comment": "asked", "content_id": 3}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(
            b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert b"HTTP/1.1 200 " in b"".join(iter(lambda: client.recv(65536), b""))


def test_headers_without_an_end_are_refused(serve):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\n" + b"X-Many: value\r\n" * 6000)
        assert client.recv(65536).startswith(b"HTTP/1.1 431 ")
