"""`make logs`: lines from a point in time on, live ones, one request's story, and saved queries."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from infra.queries import QUERIES
from infra.stages import STAGES
from release import logs
from release.aws import Aws
from release.errors import NotReadyError
from release.logs import run_query, saved_query, seconds, table
from tests.release.conftest import nobody, run

Write = Callable[..., None]


@pytest.fixture
def log(aws: Aws) -> Iterator[Write]:
    """Return what writes a line into the stage's log, dated that many seconds ago."""
    group, stream = aws.stage.app_log_group, "api/api/1"
    aws.logs.create_log_group(logGroupName=group)
    aws.logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(message: str, *, seconds_ago: int = 0) -> None:
        at = int(time.time() * 1000) - seconds_ago * 1000
        aws.logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": message}]
        )

    yield write
    aws.logs.delete_log_group(logGroupName=group)


def test_lines_are_shown_from_the_given_time_on_without_their_metrics(
    project: Path, log: Write, playground_environment: dict[str, str]
) -> None:
    log("two hours ago", seconds_ago=7200)
    log('{"message":"just now","_aws":{"Timestamp":1}}')
    shown = run("release.logs", "playground", cwd=project, environment=playground_environment)
    assert shown.returncode == 0
    assert shown.stdout == '{"message":"just now"}\n'


def test_following_continues_with_new_lines_until_ctrl_c(
    project: Path, log: Write, playground_environment: dict[str, str]
) -> None:
    log("before")
    command = [sys.executable, "-m", "release.logs", "playground", "--follow"]
    with subprocess.Popen(
        command, cwd=project, env=playground_environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout
        assert following.stdout.readline() == "before\n"
        log("afterwards")
        assert following.stdout.readline() == "afterwards\n"
        following.send_signal(2)
        assert following.wait(20) == 0


def test_the_story_of_a_request_is_its_lines_with_the_traceback_below(
    project: Path, log: Write, playground_environment: dict[str, str]
) -> None:
    raised = "Traceback:\n  here"
    log(json.dumps({"level": "error", "request_id": "abc", "message": "boom", "traceback": raised}), seconds_ago=2)
    log(json.dumps({"level": "info", "request_id": "abc", "message": "request", "method": "GET", "status": 500}))
    shown = run("release.logs", "playground", "--request", "abc", cwd=project, environment=playground_environment)
    assert shown.returncode == 0, shown.stdout
    heading, first, *below, last = shown.stdout.splitlines()
    assert heading.split()[:3] == ["@timestamp", "level", "request_id"]
    assert "boom" in first
    assert [line.strip() for line in below] == ["Traceback:", "here"]
    assert "500" in last


def test_a_request_without_log_lines_is_an_error_with_the_next_step(
    log: Write, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    del log  # nothing was written
    monkeypatch.setattr(logs, "INGESTION_SECONDS", 0)
    with pytest.raises(NotReadyError, match="--since"):
        logs.request_lines(aws, "abc", since=60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--query", "failure"], "did you mean 'failures'?"),
        (["--query", "one request"], "use --request (REQUEST=…)"),
        (["--query", "failures"], "saved queries need CloudWatch Logs Insights, which the playground does not have"),
        (["--request", "no id"], "take it from the response's X-Request-Id header"),
        ([], "no log group /comments/playground/app: run `make deploy ENV=playground`"),
    ],
)
def test_an_invalid_request_is_one_line_with_the_next_step(
    project: Path, playground_environment: dict[str, str], arguments: list[str], message: str
) -> None:
    done = run("release.logs", "playground", *arguments, cwd=project, environment=playground_environment)
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert message in line


def test_a_query_cannot_follow(project: Path, tmp_path: Path) -> None:
    command = ("release.logs", "dev", "--query", "failures", "--follow")
    done = run(*command, cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "can't be followed" in done.stdout


def test_a_saved_query_is_run_by_logs_insights() -> None:
    aws = Aws(STAGES["dev"], os.environ, "000000000000", "us-east-1")
    client = boto3.client("logs", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
    aws.__dict__["logs"] = client
    row = [{"field": "route", "value": "/api/x"}, {"field": "@ptr", "value": "abc"}]
    with Stubber(client) as stubber:
        stubber.add_response("start_query", {"queryId": "1"})
        stubber.add_response("get_query_results", {"status": "Running", "results": []})
        stubber.add_response("get_query_results", {"status": "Complete", "results": [row]})
        assert run_query(aws, saved_query("slowest routes"), since=3600) == [{"route": "/api/x"}]
    assert saved_query("slowest routes") == QUERIES["slowest routes"]


def test_rows_are_aligned() -> None:
    rows = [{"@timestamp": "2026-01-01 10:00:00.000", "status": "500"}, {"@timestamp": "10:00", "message": "boom"}]
    assert list(table(rows)) == [
        "@timestamp               status  message",
        "2026-01-01 10:00:00.000  500     -",
        "10:00                    -       boom",
    ]


@pytest.mark.parametrize(("text", "duration"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_durations_are_parsed(text: str, duration: int) -> None:
    assert seconds(text) == duration
