"""Logs Insights in the playground: what the saved queries need, and an error for the rest."""

import json

import pytest

from infra.queries import QUERIES
from playground.server import insights
from playground.server.expressions import QueryError

MESSAGES = [
    json.dumps({"level": "INFO", "status": 200, "route": "/list", "duration_ms": 3.5, "request_id": "a"}),
    json.dumps({"level": "INFO", "status": 200, "route": "/list", "duration_ms": 1.5, "request_id": "b"}),
    json.dumps({"level": "ERROR", "status": 503, "route": "/new", "duration_ms": 40, "store": {"kind": "x"}}),
    json.dumps({"level": "WARNING", "message": "slow | start"}),
]
LINES = [{"@ptr": str(number), "@message": line, **insights.fields_of(line)} for number, line in enumerate(MESSAGES)]


def found(query: str) -> list[str]:
    rows, _ = insights.read(query).run(LINES)
    return [row["@ptr"] for row in rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('filter request_id = "b"', ["1"]),
        ("filter status >= 500", ["2"]),
        ('filter level in ["WARNING", "ERROR"]', ["2", "3"]),
        ('filter level not in ["INFO"] and status > 500', ["2"]),
        ("filter status != 200 or duration_ms < 2", ["1", "2", "3"]),
        ("filter not (status = 200)", ["2", "3"]),
        ("filter ispresent(duration_ms) | sort duration_ms desc | limit 2", ["2", "0"]),
        ("filter @message like /slow \\| START/i", ["3"]),
        ('filter message like "slow |"', ["3"]),
        ("filter store.kind = 'x'", ["2"]),
    ],
)
def test_a_filter_returns_the_lines_that_match(query: str, expected: list[str]) -> None:
    assert found(query) == expected


def test_stats_are_computed_by_group() -> None:
    stats = "stats count(*) as requests, avg(duration_ms) as mean, pct(duration_ms, 99) as p99 by route"
    rows, _ = insights.read(f"{stats} | sort requests desc").run(LINES)
    assert rows[0] == {"route": "/list", "requests": 2, "mean": 2.5, "p99": 3.5}


def test_fields_are_shown_in_the_order_that_the_query_names() -> None:
    rows, _ = insights.read("fields status, request_id | filter request_id = 'a'").run(LINES)
    assert list(rows[0]) == ["status", "request_id", "@ptr"]


@pytest.mark.parametrize(
    "query",
    [
        "parse @message '* *' as a, b",
        "filter strlen(message) > 3",
        "filter status ~ 5",
        "filter status >= 500 extra",
        "stats median(duration_ms)",
        "fields concat(a, b)",
        "sort a, b sideways",
    ],
)
def test_what_cannot_be_run_is_an_error_and_not_ignored(query: str) -> None:
    with pytest.raises(QueryError, match="playground"):
        insights.read(query)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_every_saved_query_can_be_run(query: str) -> None:
    insights.read(query).run(LINES)
