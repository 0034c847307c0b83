"""Metrics that CloudWatch extracts from the request lines: as it demands them, few, and only where asked for."""

import orjson
import pytest

from comments.settings import Settings, SettingsError
from comments.telemetry import EmbeddedMetrics, request_line
from tests.app.test_server import get, request_lines


def metrics_of(line):
    """Return dimensions and values as CloudWatch reads a line: each name must be a member of it."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    ((name,),) = directive["Dimensions"]
    return directive["Namespace"], line[name], {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def test_a_request_line_is_a_metric_of_its_route(serve):
    server = serve(COMMENTS_METRICS="comments/test")
    with server.connect() as connection:
        get(connection, "/api/comment/list/1")
        get(connection, "/nobody/knows/1")
        get(connection, "/nobody/knows/2")
    namespaces, routes, values = zip(*map(metrics_of, request_lines(server, 3)), strict=True)
    assert set(namespaces) == {"comments/test"}
    assert list(routes) == ["/api/comment/list/<content_id>", "unknown", "unknown"]
    for measured in values:
        assert measured.keys() == {"duration_ms"}
        assert measured["duration_ms"] > 0


def test_a_failure_is_counted_by_its_route():
    line = request_line({}, status=503, seconds=0.01, sent=10)
    EmbeddedMetrics("comments/test").add_to(line)
    _, _, values = metrics_of(orjson.loads(orjson.dumps(line)))
    assert values == {"duration_ms": 10.0, "failed": 1}


def test_nothing_is_embedded_unless_asked_for(serve):
    server = serve()
    with server.connect() as connection:
        get(connection, "/api/comment/list/1")
    assert "_aws" not in request_lines(server, 1)[0]


@pytest.mark.parametrize("name", ["AWS/ECS", "with space", "a" * 256, "é"])
def test_a_namespace_that_cloudwatch_would_refuse_is_an_error_that_names_the_variable(name):
    with pytest.raises(SettingsError, match="COMMENTS_METRICS"):
        Settings.from_environment({"COMMENTS_METRICS": name})
