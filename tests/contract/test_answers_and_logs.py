import json
import logging
import re
from collections.abc import Iterator
from typing import Any

from aws_cdk.assertions import Template

from comments.errors import error_body
from comments.telemetry import JsonFormatter, request_line
from tests.infra.synthesis import every, templates, the

INSIGHTS = {"fields", "filter", "sort", "limit", "stats", "by", "as", "asc", "desc", "in", "and", "ispresent"}
INSIGHTS |= {"count", "avg", "pct", "requests", "mean", "p99"}


def test_the_web_acl_answers_with_the_services_own_error_body() -> None:
    acl = the(templates("prod").service, "AWS::WAFv2::WebACL")
    answers = list(custom_responses(acl["Rules"]))
    assert {answer["CustomResponseBodyKey"] for answer in answers} == set(acl["CustomResponseBodies"])
    for answer in answers:
        given = acl["CustomResponseBodies"][answer["CustomResponseBodyKey"]]
        assert given["ContentType"] == "APPLICATION_JSON"
        body = json.loads(given["Content"])
        assert body == error_body(answer["ResponseCode"], body["message"])


def custom_responses(value: Any) -> Iterator[dict[str, Any]]:
    """Find every answer that a rule gives itself, however deep it stands."""
    if isinstance(value, dict):
        if "CustomResponse" in value:
            yield value["CustomResponse"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from custom_responses(each)


def test_saved_queries_ask_for_fields_that_log_lines_have(service: Template) -> None:
    request = request_line({"PATH_INFO": "/api/comment/list/1"}, status=200, seconds=0.1, sent=10)
    failure = (RuntimeError, RuntimeError("slow"), None)
    record = logging.LogRecord("comments", logging.WARNING, "", 0, "slow", None, failure)
    written = request.keys() | json.loads(JsonFormatter().format(record)).keys()
    queries = every(service, "AWS::Logs::QueryDefinition")
    assert queries
    for query in queries:
        without_strings = re.sub(r'"[^"]*"', "", query["QueryString"])
        asked = set(re.findall(r"(?<![@\w])[a-z]\w*", without_strings)) - INSIGHTS
        assert asked <= written, query["Name"]


def test_the_query_for_warnings_knows_the_levels_as_they_are_written(service: Template) -> None:
    (query,) = (
        query for query in every(service, "AWS::Logs::QueryDefinition") if query["Name"].endswith("warnings and errors")
    )
    for level in (logging.WARNING, logging.ERROR, logging.CRITICAL):
        record = logging.LogRecord("comments", level, "", 0, "text", None, None)
        assert f'"{json.loads(JsonFormatter().format(record))["level"]}"' in query["QueryString"]
