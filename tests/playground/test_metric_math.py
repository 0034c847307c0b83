"""Metric math in alarms: what is computed, and what is refused."""

import pytest

from playground.server import metric_math


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("100 * failed / requests", 5.0),
        ("IF(requests >= 100, 100 * failed / requests, 0)", 5.0),
        ("IF(requests < 100, 1, -failed + 2)", -8.0),
        ("failed / (requests - 200)", None),
        ("failed + silent", None),
    ],
)
def test_an_expression_has_cloudwatchs_value(expression: str, value: float | None) -> None:
    assert metric_math.evaluate(expression, {"failed": 10.0, "requests": 200.0, "silent": None}) == value


@pytest.mark.parametrize("expression", ["RATE(failed)", "failed +", "unknown * 2", "failed if requests else 1"])
def test_what_cannot_be_computed_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="playground cannot"):
        metric_math.check(expression, {"failed", "requests"})
