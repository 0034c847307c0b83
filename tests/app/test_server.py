"""The service as a user starts it: gunicorn in app/, real sockets, real log lines."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import ROOT, Server, wait_until

GUNICORN = str(Path(sys.executable).with_name("gunicorn"))
COMMENT = {"email": "alice@example.com", "comment": "secret text", "content_id": 64}

Serve = Callable[..., Server]


def get(connection: HTTPConnection, path: str, **headers: str) -> tuple[HTTPResponse, Any]:
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response, json.load(response)


def requests_logged(server: Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line for line in lines if line["message"] == "request"]


def test_the_address_that_the_trusted_proxy_appends_is_logged(shared_server: Server) -> None:
    with shared_server.connect() as connection:
        get(connection, "/api/status", X_Forwarded_For="6.6.6.6, 203.0.113.9", X_Forwarded_Proto="https")
        get(connection, "/api/status")
    assert [line["client"] for line in requests_logged(shared_server)[-2:]] == ["203.0.113.9", "127.0.0.1"]


def test_bodies_of_up_to_64_kib_are_accepted(shared_server: Server) -> None:
    for size, status in ((64 * 1024, 200), (64 * 1024 + 1, 413)):
        body = json.dumps(COMMENT).encode().ljust(size)
        for length in ({"Content-Length": str(size)}, {"Transfer-Encoding": "chunked"}):
            with shared_server.connect() as connection:
                headers = {"Content-Type": "application/json"} | length
                chunked = "Transfer-Encoding" in length
                connection.request("POST", "/api/comment/new", [body[:9], body[9:]], headers, encode_chunked=chunked)
                assert connection.getresponse().status == status


def test_a_stop_finishes_the_requests_under_way(serve: Serve) -> None:
    server = serve()
    body = json.dumps(COMMENT).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /api/comment/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body[:10])
        )
        assert server.healthy()  # so it has read the beginning of the request before this one
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in server.log.read_text(), server.process)
        connection.sendall(body[10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log.read_text()


def start(environ: dict[str, str], port: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the service until it gives up."""
    command = [GUNICORN, "--bind", f"127.0.0.1:{port}", "api:app"]
    return subprocess.run(
        command, cwd=ROOT / "app", env=os.environ | environ, timeout=60, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"COMMENTS_STORE": "mysql://x"}, "COMMENTS_STORE must be sqlite:///PATH or dynamodb://TABLE"),
        ({"COMMENTS_STORE": "sqlite:///FOLDER/note.txt"}, "note.txt: file is not a database"),
    ],
)
def test_a_service_that_cannot_start_exits_with_the_reason(environ: dict[str, str], error: str, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("something that must not be overwritten\n" * 100)
    before = note.read_bytes()
    ended = start({name: value.replace("FOLDER", str(tmp_path)) for name, value in environ.items()})
    assert ended.returncode != 0
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert error in line
    assert "Traceback" not in ended.stdout + ended.stderr
    assert note.read_bytes() == before


def test_a_service_whose_port_is_in_use_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        ended = start({"COMMENTS_STORE": f"sqlite:///{tmp_path}/comments.db"}, other.getsockname()[1])
    assert ended.returncode != 0
    assert "Address already in use" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
