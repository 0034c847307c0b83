"""The error format, the log lines and the routes of the app, as infra and release expect them."""

import json
import re

import boto3
import pytest
from aws_cdk.assertions import Template
from botocore.stub import Stubber

from comments.app import create_app
from comments.config import Settings
from comments.errors import error_body
from comments.stores import CommentStore
from comments.stores.dynamodb import DynamoDBStore
from infra.workload import WORKLOAD
from release.explain import outage_causes, readable
from tests.app.contract.synthesis import templates
from tests.app.support import AUTH, TOKEN, Log, client_of, post
from tests.infra.synthesis import every, the

INSIGHTS = {"fields", "filter", "sort", "limit", "stats", "by", "as", "asc", "desc", "in", "and", "ispresent"}
INSIGHTS |= {"like", "or", "count", "avg", "pct", "requests", "mean", "p99"}


def test_the_web_acl_responds_in_the_services_error_format() -> None:
    acl = the(templates("prod").service, "AWS::WAFv2::WebACL")
    responses = [json.loads(each) for each in re.findall(r'"CustomResponse": (\{.*?\})\}', json.dumps(acl["Rules"]))]
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


def test_saved_queries_use_fields_that_log_lines_have(failed: Log, service: Template, sqlite: CommentStore) -> None:
    client = client_of(sqlite, moderator_token=TOKEN, hold="all")
    pending = post(client).get_json()
    client.post(f"/api/moderation/1/{pending['id']}/approve", headers=AUTH)
    creation, approval, _ = failed.entries[-3:]
    assert creation["id"] == approval["id"] == pending["id"]
    written = {name for entry in failed.entries for name in entry}
    queries = every(service, "AWS::Logs::QueryDefinition")
    assert {query["Name"] for query in queries} == {f"comments-dev/{name}" for name in WORKLOAD.queries}
    for query in queries:
        assert query["LogGroupNames"] == ["/comments/dev/app"]
        without_strings = re.sub(r'"[^"]*"', "", query["QueryString"])
        used = set(re.findall(r"(?<![@\w])[a-z]\w*", without_strings)) - INSIGHTS
        assert used <= written, query["Name"]


def test_a_release_explains_a_failure_with_the_log(
    failed: Log, service: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("release.explain.WORKLOAD", WORKLOAD)  # tests of the platform have another workload
    (query,) = (each for each in every(service, "AWS::Logs::QueryDefinition") if "warnings and errors" in each["Name"])
    *_, error, request = failed.getvalue().splitlines()
    assert f'"{json.loads(error)["level"]}"' in query["QueryString"]
    found = [line for line in (error, request) if f'"{json.loads(line)["logger"]}"' in WORKLOAD.failures.pattern]
    (cause,) = outage_causes(found)
    assert "lacks dynamodb:Query" in cause
    assert re.fullmatch(r"error: the store failed: table comments-dev: .* dynamodb:Query on x", readable(error))
    assert re.fullmatch(r"error: GET /api/comment/list/1 503 in [\d.]+ ms", readable(request))
