"""The service as a user runs it: gunicorn in app/, real sockets, real log lines."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.app.conftest import ROOT, wait_until

CHUNKED = (
    b"POST /api/comment/new%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
GUNICORN = str(Path(sys.executable).with_name("gunicorn"))


def post(connection, comment, headers=None):
    body = json.dumps({"email": "alice@example.com", "comment": comment, "content_id": 1})
    connection.request("POST", "/api/comment/new", body, {"Content-Type": "application/json"} | (headers or {}))
    response = connection.getresponse()
    return response, json.load(response)


def get(connection, path, headers=None):
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    return response, json.load(response)


def request_lines(server, count):
    """Return the log lines of `count` requests, each written just after its answer; one that is not JSON fails."""

    def found():
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        return [line for line in lines if line["message"] == "request"]

    wait_until(lambda: len(found()) >= count, server.process)
    return found()


def exchange(server, raw):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), json.loads(body)


def test_each_request_leaves_one_json_line_that_its_request_id_finds(serve):
    server = serve()
    with server.connect() as connection:
        posted, _ = post(connection, "secret text")
        listed, _ = get(connection, "/api/comment/list/1?limit=5", {"X-Request-Id": "from-the-proxy.1"})
    assert listed.headers["X-Request-Id"] == "from-the-proxy.1"
    by_id = {line["request_id"]: line for line in request_lines(server, 2)}
    assert set(by_id) == {posted.headers["X-Request-Id"], "from-the-proxy.1"}
    line = by_id["from-the-proxy.1"]
    assert line.items() >= {
        "level": "info", "method": "GET", "route": "/api/comment/list/<content_id>", "path": "/api/comment/list/1",
        "status": 200, "client": "127.0.0.1",
    }.items()  # fmt: skip
    assert line["duration_ms"] > 0
    assert line["bytes"] == int(listed.headers["Content-Length"])


def test_log_lines_hold_nothing_that_a_visitor_wrote(serve):
    server = serve()
    with server.connect() as connection:
        post(connection, "secret text")
        get(connection, "/api/comment/list/alice@example.com?token=hunter2")
        get(connection, "/%0a%7b%22level%22:%22forged%22%7d", {"X-Request-Id": 'x"} {"y'})
    assert [line["route"] for line in request_lines(server, 3)][-1] == "unknown"
    text = server.log.read_text()
    for secret in ("secret text", "alice@example.com", "hunter2", "forged"):
        assert secret not in text


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /?email=alice@example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nalice@example.com hunter2: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: alice@example.com\r\n\r\n",
        CHUNKED % b"?alice@example.com" + b"alice@example.com\r\n",
    ],
    ids=["request line", "header name", "expectation", "chunk size"],
)
def test_log_lines_quote_no_malformed_request(serve, raw):
    server = serve()
    code, _, _ = exchange(server, raw)
    assert 400 <= code < 500
    server.process.terminate()  # so that the log is whole
    server.process.wait(30)
    assert "alice@example.com" not in server.log.read_text()


def test_a_broken_chunk_is_refused_and_nothing_behind_it_is_taken_for_a_request(serve):
    server = serve()
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    code, _, body = exchange(server, CHUNKED % b"" + b"zz\r\n" + smuggled)
    assert (code, body["errors"][0]["field"]) == (400, "body")


def test_the_clients_address_is_the_one_that_the_trusted_proxy_saw(serve):
    server = serve(COMMENTS_TRUSTED_PROXIES="1")
    with server.connect() as connection:
        get(connection, "/api/comment/list/1", {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
        get(connection, "/api/comment/list/1")
    assert [line["client"] for line in request_lines(server, 2)] == ["203.0.113.9", "127.0.0.1"]


def test_without_trusted_proxies_the_header_is_not_believed(serve):
    server = serve()
    with server.connect() as connection:
        get(connection, "/api/comment/list/1", {"X-Forwarded-For": "6.6.6.6"})
    assert [line["client"] for line in request_lines(server, 1)] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nTransfer-encoding: nonsense\r\n\r\n", 400),
    ],
    ids=["request line", "version", "header name", "long path", "long header", "transfer coding"],
)
def test_a_request_that_never_reaches_the_application_gets_the_same_error_body(serve, raw, status):
    code, head, body = exchange(serve(), raw)
    assert code == status
    assert "Content-Type: application/json" in head
    assert body["status"] == "INVALID"
    assert body["message"]


def test_a_chunked_body_is_read_and_bounded(serve):
    server = serve()
    head = b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    good = json.dumps({"email": "a@example.com", "comment": "chunked", "content_id": 7}).encode()
    assert exchange(server, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good))[0] == 200
    large = b"x" * 70_000
    assert exchange(server, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large))[0] == 413


def test_two_workers_share_one_database(serve):
    server = serve(WEB_CONCURRENCY="2")

    def talk(name):
        for number in range(25):
            with server.connect() as connection:  # a new one each time, so that the kernel spreads them
                assert post(connection, f"{name} {number}")[0].status == 200

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with server.connect() as connection:
        _, listed = get(connection, "/api/comment/list/1")
    assert len(listed) == 100
    assert [comment["id"] for comment in listed] == sorted(comment["id"] for comment in listed)


def test_every_acknowledged_comment_survives_a_kill(serve):
    """The worker, then master and all, are killed with -9 while clients post."""
    acknowledged = []

    def talk(server, name):
        with suppress(OSError, HTTPException), server.connect() as connection:  # until the connection dies
            for number in range(10_000):
                response, _ = post(connection, f"{name} {number}")
                assert response.status == 200
                acknowledged.append(f"{name} {number}")

    for round_number in range(3):
        server = serve()
        threads = [threading.Thread(target=talk, args=(server, f"{round_number}{name}")) for name in "abc"]
        [thread.start() for thread in threads]
        before = len(acknowledged)
        wait_until(lambda before=before: len(acknowledged) > before + 50, server.process)
        children = subprocess.run(["pgrep", "-P", str(server.process.pid)], stdout=subprocess.PIPE, check=True).stdout
        for pid in (server.process.pid, *map(int, children.split())):
            os.kill(pid, signal.SIGKILL)
        [thread.join() for thread in threads]
    with serve().connect() as connection:
        _, listed = get(connection, "/api/comment/list/1")
    texts = [comment["comment"] for comment in listed]
    assert set(acknowledged) <= set(texts)
    assert len(texts) == len(set(texts))


def test_a_stop_finishes_the_requests_under_way(serve):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        body = b'{"email": "a@example.com", "comment": "slow", "content_id": 3}'
        connection.sendall(
            b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        connection.sendall(body[:10])
        wait_until(server.healthy, server.process)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in server.log.read_text(), server.process)
        connection.sendall(body[10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(10) == 0


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("COMMENTS_STROE", "x", "error: COMMENTS_STROE is not a setting; did you mean COMMENTS_STORE?"),
        (
            "COMMENTS_STORE",
            "sqlite:////no/such/folder/comments.db",
            "error: COMMENTS_STORE: the folder /no/such/folder",
        ),
        ("COMMENTS_STORE", "sqlite:///FOLDER/note.txt", "note.txt cannot be opened: file is not a database"),
    ],
)
def test_a_service_that_cannot_start_ends_and_says_why(variable, value, said, tmp_path):
    (tmp_path / "note.txt").write_text("something else that must not be overwritten\n" * 100)
    value = value.replace("FOLDER", str(tmp_path))
    command = [GUNICORN, "--bind", "127.0.0.1:0", "api:app"]
    ended = subprocess.run(
        command, cwd=ROOT / "app", env=os.environ | {variable: value}, timeout=30, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "must not be overwritten" in (tmp_path / "note.txt").read_text()
