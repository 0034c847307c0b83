"""The error format, the log lines and the routes of the app, as infra and release expect them."""

import json
import logging
import re
from unittest.mock import Mock

import boto3
import pytest
from aws_cdk.assertions import Template
from botocore.stub import Stubber
from pydantic import SecretStr

from comments.app import create_app
from comments.config import Settings
from comments.errors import error_body
from comments.logs import JsonFormatter
from comments.schemas import NewComment
from comments.stores import Page
from comments.stores.dynamodb import DynamoDBStore
from infra.cost.traffic import LINE_KB, METRICS_KB, ROUTES
from infra.queries import QUERIES
from release.explain import readable, store_causes
from release.watch import ERRORS
from tests.app.conftest import Log
from tests.infra.synthesis import every, templates, the

INSIGHTS = {"fields", "filter", "sort", "limit", "stats", "by", "as", "asc", "desc", "in", "and", "ispresent"}
INSIGHTS |= {"count", "avg", "pct", "requests", "mean", "p99"}

CLOUDWATCH_BYTES = 26
"""CloudWatch adds this many to every line."""

COMMENT = NewComment(content_id=1, email="a@b.de", comment="x" * 4000)
PAGE = Page([COMMENT.stored("01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52", held=False)], more=False)


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


@pytest.mark.parametrize(("namespace", "kilobytes"), [("", LINE_KB), ("comments/prod", LINE_KB + METRICS_KB)])
def test_a_log_line_is_no_longer_than_the_bill_assumes(namespace: str, kilobytes: float, log: Log) -> None:
    store = Mock(overlap=0.0, list_comments=Mock(return_value=PAGE))
    client = create_app(Settings(metrics=namespace, trusted_proxies=1), store).test_client()
    headers = {"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678", "X-Forwarded-For": "203.0.113.199"}
    response = client.get("/api/comment/list/123456", headers=headers)
    assert response.status_code == 200
    line = log.getvalue().splitlines()[-1]
    assert "203.0.113.199" in line
    assert ("_aws" in line) is bool(namespace)
    assert len(line.encode()) + CLOUDWATCH_BYTES <= kilobytes * 1000


def test_there_are_no_more_routes_than_the_bill_assumes() -> None:
    """Each route is a billed metric: the route is the only dimension of the embedded metrics."""
    app = create_app(Settings(moderator_token=SecretStr("x" * 40)), Mock())
    rules = {rule.rule for rule in app.url_map.iter_rules()} - {"/healthz"}
    assert len(rules | {"unknown"}) <= ROUTES
