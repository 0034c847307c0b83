"""`make logs`: lines from a point in time on, live ones, one request's story, and saved queries."""

import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from botocore.config import Config
from botocore.stub import Stubber

from infra.config import WORKLOAD
from release import logs as module
from release.aws import Aws
from release.command import NotReadyError, ReleaseError
from release.logs import request_lines, request_pattern, run_query
from tests.repository import ROOT, run

Write = Callable[..., None]
Logs = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def log(aws: Aws) -> Iterator[Write]:
    """Return what writes a line into the stage's log, dated that many seconds ago."""
    group, stream = aws.stage.app_log_group, "web/web/1"
    aws.logs.create_log_group(logGroupName=group)
    aws.logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(message: str, *, seconds_ago: int = 0) -> None:
        at = int((time.time() - seconds_ago) * 1000)
        aws.logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": message}]
        )

    yield write
    aws.logs.delete_log_group(logGroupName=group)


@pytest.fixture
def logs(playground_environment: dict[str, str]) -> Logs:
    return partial(run, "release", "logs", env=playground_environment)


def test_lines_are_shown_from_the_given_time_on_without_their_metrics(log: Write, logs: Logs) -> None:
    log("two hours ago", seconds_ago=7200)
    log('{"message":"just now","_aws":{"Timestamp":1}}')
    shown = logs("playground")
    assert (shown.returncode, shown.stdout) == (0, '{"message":"just now"}\n')
    assert "two hours ago\n" in logs("playground", "--since", "1d").stdout


def test_following_continues_with_new_lines_until_ctrl_c(log: Write, playground_environment: dict[str, str]) -> None:
    log("before")
    command = [sys.executable, "-m", "release", "logs", "playground", "--follow"]
    with subprocess.Popen(
        command, cwd=ROOT, env=playground_environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout
        assert following.stdout.readline() == "before\n"
        log("afterwards")
        assert following.stdout.readline() == "afterwards\n"
        following.send_signal(2)
        assert following.wait(20) == 0


def test_following_shows_no_line_twice_that_arrives_while_past_ones_are_read(
    dev: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time() * 1000)
    results = [{"timestamp": now, "message": "both\n"}, {"timestamp": now + 1, "message": "both\n"}]
    live = {"responseStream": [{"sessionUpdate": {"sessionResults": results}}]}
    monkeypatch.setattr(dev.logs, "start_live_tail", lambda **_: live)
    monkeypatch.setattr(module, "past_events", lambda *_, **__: iter([(now - 60_000, "past"), (now, "both")]))
    assert [*module.lines(dev, since=0, pattern="", follow=True)] == ["past", "both", "both"]


def test_a_lost_connection_ends_following_with_the_next_step(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer that sleeps loses it."""
    server = socket.create_server(("127.0.0.1", 0))

    def lose_connection() -> None:
        connection, _ = server.accept()
        connection.recv(65536)
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nTransfer-Encoding: chunked"
        connection.sendall(f"{head}\r\n\r\n5\r\n".encode())
        connection.close()

    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    client = dev.session.client("logs", endpoint_url=address, config=Config(inject_host_prefix=False))
    monkeypatch.setitem(dev.__dict__, "logs", client)
    monkeypatch.setattr(Aws, "of", lambda _: dev)
    given = Namespace(query=None, request=None, filter="", since=None, follow=True)
    with server, ThreadPoolExecutor() as pool:
        pool.submit(lose_connection)
        with pytest.raises(ReleaseError, match="connection to CloudWatch Logs was lost: run this again"):
            module.show(dev.stage, given)


@pytest.mark.usefixtures("log")
def test_a_request_without_log_lines_is_an_error_with_the_next_step(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INGESTION_SECONDS", 0)
    with pytest.raises(NotReadyError, match="--since"):
        request_lines(aws, request_pattern("abc"), since=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dev", "--query", "failures", "--follow"], "can't be followed"),
        (["dev", "--request", "no id"], "take it from the response's X-Request-Id header"),
        (["dev", "--since", "soon"], "write 90s, 10m, 2h or 1d"),
        (["playground", "--query", "failures"], "which the playground does not have"),
        (["playground"], "no log group /notes/playground/app: run `make deploy ENV=playground`"),
    ],
)
def test_an_invalid_request_names_the_next_step(logs: Logs, arguments: list[str], message: str) -> None:
    done = logs(*arguments)
    assert done.returncode == 2
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_a_saved_query_is_run_by_logs_insights(dev: Aws) -> None:
    row = [{"field": "route", "value": "/api/x"}, {"field": "@ptr", "value": "abc"}]
    with Stubber(dev.logs) as stubber:
        stubber.add_response("start_query", {"queryId": "1"})
        stubber.add_response("get_query_results", {"status": "Running", "results": []})
        stubber.add_response("get_query_results", {"status": "Complete", "results": [row]})
        assert run_query(dev, WORKLOAD.queries["slowest routes"], since=0) == [{"route": "/api/x"}]
