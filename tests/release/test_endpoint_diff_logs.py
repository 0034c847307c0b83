"""The small commands beside the release."""

import time
from pathlib import Path

import pytest

from infra.release.aws import Aws
from infra.release.logs import seconds
from tests.release.support import nobody, run


@pytest.mark.parametrize("command", ["endpoint", "diff", "logs"])
def test_an_unknown_stage_exits_2_on_one_line(project: Path, tmp_path: Path, command: str) -> None:
    done = run(f"infra.release.{command}", "prd", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{command} failed: unknown stage 'prd'")


def test_the_address_of_what_is_not_deployed_is_an_error(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("infra.release.endpoint", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "run `make deploy ENV=playground`" in done.stdout
    assert "http" not in done.stdout


def test_a_diff_that_cannot_reach_aws_is_told_from_a_difference(project: Path, tmp_path: Path) -> None:
    done = run("infra.release.diff", "dev", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no AWS credentials" in done.stdout


def test_the_log_is_shown_from_the_time_asked_for(
    project: Path, aws: Aws, playground_environment: dict[str, str]
) -> None:
    group, stream = aws.stage.app_log_group, "api/api/1"
    aws.logs.create_log_group(logGroupName=group)
    try:
        aws.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000)
        for at, message in ((now - 7_200_000, "two hours ago"), (now, "just now")):
            aws.logs.put_log_events(
                logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": message}]
            )
        shown = run("infra.release.logs", "playground", "--no-follow", cwd=project, environment=playground_environment)
    finally:
        aws.logs.delete_log_group(logGroupName=group)
    assert shown.returncode == 0
    assert shown.stdout == "just now\n"


def test_a_log_that_is_not_there_says_how_to_get_one(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("infra.release.logs", "playground", "--no-follow", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "no log group /comments/playground/app: run `make deploy ENV=playground`" in done.stdout


@pytest.mark.parametrize(("text", "span"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_spans_of_time_are_read(text: str, span: int) -> None:
    assert seconds(text) == span
