import orjson

from comments import create_app
from comments.settings import Settings
from comments.telemetry import EmbeddedMetrics, request_line
from infra.cost.traffic import LINE_KB, METRICS_KB, ROUTES

_CLOUDWATCH_BYTES = 26
"""AWS adds as much to every line."""
BEHIND_THE_BALANCER = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/api/comment/list/123456",
    "HTTP_X_AMZN_TRACE_ID": "Root=1-67891233-abcdef012345678912345678",
    "comments.request_id": "0123456789abcdef",
    "comments.route": "/api/comment/list/<content_id>",
    "comments.client": "203.0.113.199",
}


def test_a_log_line_is_no_longer_than_the_bill_assumes() -> None:
    line = request_line(BEHIND_THE_BALANCER, status=200, seconds=0.00123, sent=4000)
    plain = len(orjson.dumps(line)) + _CLOUDWATCH_BYTES
    assert plain <= LINE_KB * 1000
    EmbeddedMetrics("comments/prod").add_to(line)
    assert len(orjson.dumps(line)) + _CLOUDWATCH_BYTES <= (LINE_KB + METRICS_KB) * 1000


def test_there_are_no_more_routes_than_the_bill_assumes() -> None:
    """The route is the only dimension of the embedded metrics, and each of its values is a metric that is paid for."""
    rules = {
        rule.rule for rule in create_app(Settings(moderator_token="x" * 40), store=object()).url_map.iter_rules()
    } - {"/healthz"}
    assert len(rules | {"unknown"}) <= ROUTES
