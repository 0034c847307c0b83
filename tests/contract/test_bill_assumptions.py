from unittest.mock import Mock

import pytest
from pydantic import SecretStr

from comments.app import create_app
from comments.config import Settings
from comments.schemas import NewComment
from comments.stores import Page
from infra.cost.traffic import LINE_KB, METRICS_KB, ROUTES
from tests.app.conftest import Log

CLOUDWATCH_BYTES = 26
"""CloudWatch adds this many to every line."""

COMMENT = NewComment(content_id=1, email="a@b.de", comment="x" * 4000)
PAGE = Page([COMMENT.stored("01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52", held=False)], more=False)


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
