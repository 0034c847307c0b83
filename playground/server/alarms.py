"""CloudWatch alarms: evaluated every second, by dimension, over whole periods, metric math included."""

import operator
import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from playground.server import metric_math
from playground.server.patching import Record, patch

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
MISSING = {"breaching": True, "notBreaching": False}

stock_alarm_record = provisioners._cw_metric_alarm_record


@patch(provisioners, "_cw_metric_alarm_record", gap="an alarm on metric math is refused")
def alarm_record(name: str, properties: Record) -> Record:
    queries: list[Record] = properties.get("Metrics") or []
    if queries:
        first = next(query["MetricStat"] for query in queries if "MetricStat" in query)
        returned = [query for query in queries if query.get("ReturnData", True)]
        if len(returned) != 1:
            raise ValueError(f"alarm {name}: exactly one of its Metrics returns data")
        for query in queries:
            if "Expression" in query:
                metric_math.check(query["Expression"], {other["Id"] for other in queries})
        properties = {**properties, **first["Metric"], "Period": first["Period"], "Statistic": first["Stat"]}
        properties = {key: value for key, value in properties.items() if key != "Metrics"}
    if properties.get("ComparisonOperator") not in COMPARISONS:
        raise ValueError(f"alarm {name}: the playground compares by {', '.join(COMPARISONS)}")
    record: Record = stock_alarm_record(name, properties)
    record["_queries"] = queries
    return record


@patch(cloudwatch, "_evaluate_alarm", gap="dimensions, missing data, several periods and percentiles are ignored")
def evaluate_alarm(alarm: Record) -> None:
    """Set the state that the latest periods give; the newest period counts as soon as it breaches."""
    if not alarm.get("MetricName"):
        return
    period, periods = int(alarm["Period"]), int(alarm["EvaluationPeriods"])
    current = int(time.time() // period) * period
    values = [value_of(alarm, current - back * period, period) for back in range(periods)]
    compare = COMPARISONS[alarm["ComparisonOperator"]]
    missing = MISSING.get(alarm["TreatMissingData"])
    breaching = [missing if value is None else compare(value, alarm["Threshold"]) for value in values]
    wanted = int(alarm.get("DatapointsToAlarm") or periods)
    if sum(bool(entry) for entry in breaching) >= wanted:
        state = "ALARM"
    elif all(entry is None for entry in breaching):
        state = alarm["StateValue"] if alarm["TreatMissingData"] == "ignore" else "INSUFFICIENT_DATA"
    else:
        state = "OK"
    change(alarm, state, values)


def change(alarm: Record, state: str, values: list[float | None]) -> None:
    before = alarm["StateValue"]
    if state == before:
        return
    shown = ", ".join("none" if value is None else f"{value:g}" for value in values)
    reason = f"Threshold Crossed: [{shown}] against {alarm['ComparisonOperator']} {alarm['Threshold']:g}"
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def value_of(alarm: Record, start: float, period: int) -> float | None:
    """The alarm's value in one period; None without data."""
    if not alarm.get("_queries"):
        return statistic_of(alarm, alarm.get("ExtendedStatistic") or alarm["Statistic"], start, period)
    values: dict[str, float | None] = {}
    for query in alarm["_queries"]:
        if stat := query.get("MetricStat"):
            values[query["Id"]] = statistic_of(stat["Metric"], stat["Stat"], start, period)
    returned = next(query for query in alarm["_queries"] if query.get("ReturnData", True))
    return metric_math.evaluate(returned["Expression"], values) if "Expression" in returned else values[returned["Id"]]


def statistic_of(metric: Record, statistic: str, start: float, period: int) -> float | None:
    dimensions = {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions") or []}
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
    stored: list[Record] = cloudwatch._metrics.get(key, [])
    points = [point for point in stored if start <= point["Timestamp"] < start + period]
    if not points:
        return None
    value: Any = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
    return None if value is None else float(value)
