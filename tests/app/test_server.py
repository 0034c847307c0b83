"""The service as a user starts and stops it: gunicorn in app/."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection

import pytest

from tests.app.support import ALICE, ROOT, Serve, wait_until


def test_a_stop_finishes_the_requests_under_way_and_all_output_is_json(serve: Serve) -> None:
    server = serve(COMMENTS_STROE="x")
    body = json.dumps(ALICE).encode()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.putrequest("POST", "/api/comment/new")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        assert server.healthy()  # so it has read the beginning of the request before this one
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in server.log.read_text(), server.process)
        connection.send(body[10:])
        assert connection.getresponse().status == 200
    assert server.process.wait(30) == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (warning,) = [line for line in lines if line["level"] != "info"]
    assert warning["message"] == "COMMENTS_STROE is not a setting; did you mean COMMENTS_STORE?"


def start(port: int, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a service that cannot start."""
    command = [sys.executable, "serve.py", "--bind", f"127.0.0.1:{port}"]
    return subprocess.run(
        command, cwd=ROOT / "app", env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("settings", "status", "message"),
    [
        ({"COMMENTS_STORE": "mysql://x"}, 3, "COMMENTS_STORE must be sqlite:///PATH or dynamodb://TABLE"),
        ({"COMMENTS_STORE": "sqlite:////no/such/x.db"}, 3, "COMMENTS_STORE: the directory /no/such does not exist"),
        ({"WEB_CONCURRENCY": "0"}, 1, "WEB_CONCURRENCY must be a number from 1 to 64, not '0'"),
        ({"WEB_CONCURRENCY": "two"}, 1, "WEB_CONCURRENCY must be a number from 1 to 64, not 'two'"),
        ({"PORT": "http"}, 1, "PORT must be a number from 1 to 65535, not 'http'"),
    ],
)
def test_a_service_that_cannot_start_exits_with_the_reason(settings: dict[str, str], status: int, message: str) -> None:
    ended = start(0, settings)
    assert ended.returncode == status
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: {message}")
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_second_service_with_several_workers_does_not_share_the_port_of_the_first(serve: Serve) -> None:
    settings = {"WEB_CONCURRENCY": "2"}
    first = serve(**settings)
    second = start(first.port, settings | {"COMMENTS_STORE": f"sqlite:///{first.log.with_name('second.db')}"})
    assert second.returncode == 1
    assert f"Connection in use: ('127.0.0.1', {first.port})" in second.stdout
