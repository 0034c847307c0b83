"""The error format and the log lines of the app, as infra and release expect them."""

import json
import logging
import re

import boto3
import pytest
from aws_cdk.assertions import Template
from botocore.stub import Stubber

from comments.app import create_app
from comments.config import Settings
from comments.errors import error_body
from comments.logs import JsonFormatter
from comments.stores.dynamodb import DynamoDBStore
from infra.queries import QUERIES
from release.explain import readable, store_causes
from release.watch import ERRORS
from tests.app.conftest import Log
from tests.infra.synthesis import every, templates, the

INSIGHTS = {"fields", "filter", "sort", "limit", "stats", "by", "as", "asc", "desc", "in", "and", "ispresent"}
INSIGHTS |= {"count", "avg", "pct", "requests", "mean", "p99"}


def test_the_web_acl_responds_in_the_services_error_format() -> None:
    acl = the(templates("prod").service, "AWS::WAFv2::WebACL")
    responses = [json.loads(each) for each in re.findall(r'"CustomResponse": (\{[^}]*\})', json.dumps(acl["Rules"]))]
    assert {response["CustomResponseBodyKey"] for response in responses} == set(acl["CustomResponseBodies"])
    for response in responses:
        given = acl["CustomResponseBodies"][response["CustomResponseBodyKey"]]
        assert given["ContentType"] == "APPLICATION_JSON"
        body = json.loads(given["Content"])
        assert body == error_body(response["ResponseCode"], body["message"])


@pytest.fixture
def failed(log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    """The log of a request that failed because the task may not query its table."""
    client = boto3.client("dynamodb", region_name="us-east-1")
    denial = "User: arn:aws:sts::000000000000:assumed-role/Task/1 is not authorized to perform: dynamodb:Query on x"
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    with Stubber(client) as stubber:
        stubber.add_client_error("query", "AccessDeniedException", denial, http_status_code=400)
        app = create_app(Settings(), DynamoDBStore("comments-dev"))
        assert app.test_client().get("/api/comment/list/1").status_code == 503
    return log


def test_saved_queries_use_fields_that_log_lines_have(failed: Log, service: Template) -> None:
    written = {name for entry in failed.entries for name in entry}
    queries = every(service, "AWS::Logs::QueryDefinition")
    assert {query["Name"] for query in queries} == {f"comments-dev/{name}" for name in QUERIES}
    for query in queries:
        assert query["LogGroupNames"] == ["/comments/dev/app"]
        without_strings = re.sub(r'"[^"]*"', "", query["QueryString"])
        used = set(re.findall(r"(?<![@\w])[a-z]\w*", without_strings)) - INSIGHTS
        assert used <= written, query["Name"]


def test_the_query_for_warnings_uses_the_level_names_of_log_lines(service: Template) -> None:
    (query,) = (
        query for query in every(service, "AWS::Logs::QueryDefinition") if query["Name"].endswith("warnings and errors")
    )
    for level in (logging.WARNING, logging.ERROR, logging.CRITICAL):
        record = logging.LogRecord("comments", level, "", 0, "text", None, None)
        assert f'"{json.loads(JsonFormatter().format(record))["level"]}"' in query["QueryString"]


def test_a_release_reads_from_the_log_why_the_store_failed(failed: Log) -> None:
    found = [line for line in failed.getvalue().splitlines() if f'"{json.loads(line)["logger"]}"' in ERRORS]
    (cause,) = store_causes(found)
    assert "lacks dynamodb:Query" in cause


def test_a_release_shows_each_log_line_in_one_short_line(failed: Log) -> None:
    *_, error, request = map(readable, failed.getvalue().splitlines())
    assert re.fullmatch(r"error: the store failed: table comments-dev: .* dynamodb:Query on x", error)
    assert re.fullmatch(r"error: GET /api/comment/list/1 503 in [\d.]+ ms", request)
