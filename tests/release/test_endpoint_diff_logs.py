"""The small commands beside the release."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from release.aws import Aws
from release.insights import table
from release.logs import seconds
from tests.release.support import nobody, run


@pytest.mark.parametrize("command", ["endpoint", "diff", "logs"])
def test_an_unknown_stage_exits_2_on_one_line(project: Path, tmp_path: Path, command: str) -> None:
    done = run(f"release.{command}", "prd", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{command} failed: unknown stage 'prd'")


def test_the_address_of_what_is_not_deployed_is_an_error(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("release.endpoint", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "run `make deploy ENV=playground`" in done.stdout
    assert "http" not in done.stdout


def test_a_diff_that_cannot_reach_aws_is_told_from_a_difference(project: Path, tmp_path: Path) -> None:
    done = run("release.diff", "dev", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no AWS credentials" in done.stdout


@pytest.fixture
def log(aws: Aws) -> Iterator[Callable[[int, str], None]]:
    """Yield what writes a line into the stage's log, so many seconds ago."""
    group, stream = aws.stage.app_log_group, "api/api/1"
    aws.logs.create_log_group(logGroupName=group)
    aws.logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(seconds_ago: int, message: str) -> None:
        at = int(time.time() * 1000) - seconds_ago * 1000
        aws.logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": message}]
        )

    yield write
    aws.logs.delete_log_group(logGroupName=group)


def test_the_log_is_shown_from_the_time_asked_for(
    project: Path, log: Callable[[int, str], None], playground_environment: dict[str, str]
) -> None:
    log(7200, "two hours ago")
    log(0, "just now")
    shown = run("release.logs", "playground", cwd=project, environment=playground_environment)
    assert shown.returncode == 0
    assert shown.stdout == "just now\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--query", "failure"], "did you mean 'failures'?"),
        (["--query", "one request"], "give the id with --request (REQUEST=…)"),
        (["--query", "failures", "--follow"], "leave out --follow (FOLLOW=1) or --query (QUERY=…)"),
        (["--request", "no id"], "'no id' is no request id: take it from the answer's X-Request-Id header"),
    ],
)
def test_what_cannot_be_looked_for_is_one_line_that_says_what_to_write(
    project: Path, playground_environment: dict[str, str], arguments: list[str], message: str
) -> None:
    done = run("release.logs", "playground", *arguments, cwd=project, environment=playground_environment)
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert message in line


def test_rows_are_shown_as_a_table_with_tracebacks_below() -> None:
    rows = [
        {"@timestamp": "2026-01-01 10:00:00.000", "status": "500"},
        {"@timestamp": "2026-01-01 10:00:00.001", "message": "boom", "traceback": "Traceback:\n  here"},
    ]
    assert list(table(rows)) == [
        "@timestamp               status  message",
        "2026-01-01 10:00:00.000  500     -",
        "2026-01-01 10:00:00.001  -       boom",
        "    Traceback:",
        "      here",
    ]


def test_a_log_that_is_not_there_says_how_to_get_one(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("release.logs", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "no log group /comments/playground/app: run `make deploy ENV=playground`" in done.stdout


@pytest.mark.parametrize(("text", "span"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_spans_of_time_are_read(text: str, span: int) -> None:
    assert seconds(text) == span
