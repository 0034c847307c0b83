"""From an answer that a client got to its story in the log, and from log lines to metrics."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing

import boto3
import pytest

from tests.playground.conftest import PROJECT

pytestmark = pytest.mark.xdist_group("playground")


def logs(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "release.logs", "playground", *arguments],
        cwd=PROJECT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def refused(playground: dict[str, str]) -> str:
    """The request id that a client finds in an answer's header."""
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"{playground['PLAYGROUND_URL']}/api/comment/list/87654321")
    with answer.value:
        found: str = answer.value.headers["X-Request-Id"]
    return found


def test_the_id_in_an_answer_leads_to_its_line(refused: str) -> None:
    told = logs("--request", refused)
    assert told.returncode == 0, told.stderr
    heading, line = told.stdout.splitlines()
    assert heading.split()[:3] == ["@timestamp", "level", "request_id"]
    assert refused in line
    assert "/api/comment/list/87654321" in line
    assert " 404 " in line


def test_a_saved_query_fails_in_one_line() -> None:
    ran = logs("--query", "failures")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert "Logs Insights" in line


def test_the_plain_log_shows_lines_without_what_is_meant_for_cloudwatch(refused: str) -> None:
    (line,) = [line for line in logs().stdout.splitlines() if refused in line]
    assert line.endswith("}")
    assert "_aws" not in line


def test_a_request_becomes_a_metric_of_its_route(
    playground: dict[str, str],
    refused: str,  # noqa: ARG001  # the request
) -> None:
    cloudwatch = boto3.client(
        "cloudwatch",
        endpoint_url=playground["AWS_ENDPOINT_URL"],
        region_name=playground["AWS_REGION"],
        aws_access_key_id=playground["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=playground["AWS_SECRET_ACCESS_KEY"],
    )
    with closing(cloudwatch):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            listed = cloudwatch.list_metrics(Namespace="comments/playground")["Metrics"]
            routes = [each["Value"] for metric in listed for each in metric["Dimensions"]]
            if "/api/comment/list/<content_id>" in routes:
                return
            time.sleep(0.5)
    pytest.fail(f"no metric of the route: {listed}")
