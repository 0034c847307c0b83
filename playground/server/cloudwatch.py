"""CloudWatch: metrics measured by the playground, alarms evaluated every second, and log searches."""

import json
import operator
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import docker.errors
from ministack.core.responses import error_response_json
from ministack.services import cloudwatch, cloudwatch_logs, ecs
from ministack.services.cloudformation import provisioners

from playground.server import metric_math
from playground.server.patching import Record, extend, patch

Dimensions = tuple[tuple[str, str], ...]
Key = tuple[str, str, Dimensions]
KEPT_SECONDS = 3 * 3600  # AWS: 15 days at one-minute resolution; shorter here to save memory


class Metrics:
    """Metric data recorded since the last flush."""

    def __init__(self) -> None:
        self._counts: defaultdict[Key, float] = defaultdict(float)
        self._values: defaultdict[Key, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def count(self, namespace: str, name: str, dimensions: Dimensions, number: float = 1) -> None:
        """Increment a metric whose statistic is its sum."""
        with self._lock:
            self._counts[namespace, name, dimensions] += number

    def observe(self, namespace: str, name: str, dimensions: Dimensions, value: float) -> None:
        """Record one value of a metric whose statistic is its average, maximum or a percentile."""
        with self._lock:
            self._values[namespace, name, dimensions].append(value)

    def flush(self) -> None:
        """Store all recorded data in MiniStack's CloudWatch."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(float)
            values, self._values = self._values, defaultdict(list)
        now = time.time()
        for (namespace, name, dimensions), number in counts.items():
            cloudwatch._store_datum(namespace, name, dict(dimensions), now, "Count", number, None, None, None)
        for (namespace, name, dimensions), several in values.items():
            tally = Counter(round(value, 4) for value in several)
            cloudwatch._store_datum(
                namespace, name, dict(dimensions), now, "None", None, list(tally), list(tally.values()), None
            )

    def forget_old(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        for key, points in cloudwatch._metrics.items():
            cloudwatch._metrics[key] = [point for point in points if point["Timestamp"] >= oldest]


METRICS = Metrics()


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
MISSING = {"breaching": True, "notBreaching": False}

stock_alarm_record = provisioners._cw_metric_alarm_record


@patch(provisioners, "_cw_metric_alarm_record", gap="alarms on metric math are rejected")
def alarm_record(name: str, props: Record) -> Record:
    """Store an alarm. An alarm on metric math shows its first metric."""
    queries: list[Record] = props.get("Metrics") or []
    if queries:
        metrics = [query["MetricStat"] for query in queries if "MetricStat" in query]
        _expression_value(queries, dict.fromkeys((query["Id"] for query in queries), 1.0))
        shown = {"Period": metrics[0]["Period"], "Statistic": metrics[0]["Stat"], "Metrics": None}
        props = {**props, **metrics[0]["Metric"], **shown}
    if props.get("ComparisonOperator") not in COMPARISONS:
        raise ValueError(f"alarm {name}: the playground supports {', '.join(COMPARISONS)}")
    record: Record = stock_alarm_record(name, props)
    record["_queries"] = queries
    return record


def _expression_value(queries: list[Record], values: dict[str, float | None]) -> float | None:
    (expression,) = (query["Expression"] for query in queries if "Expression" in query)
    return metric_math.evaluate(expression, values)


def value_of(alarm: Record, start: float, period: int) -> float | None:
    """Return the value of an alarm in a period; None without data."""
    queries: list[Record] = alarm.get("_queries") or []
    if not queries:
        return statistic_of(alarm, alarm.get("ExtendedStatistic") or alarm["Statistic"], start, period)
    metrics = {query["Id"]: query["MetricStat"] for query in queries if "MetricStat" in query}
    values = {name: statistic_of(each["Metric"], each["Stat"], start, period) for name, each in metrics.items()}
    return _expression_value(queries, values)


@patch(cloudwatch, "_evaluate_alarm", gap="dimensions, missing data, several periods and percentiles are ignored")
def evaluate_alarm(alarm: Record) -> None:
    """Set the alarm's state from the latest periods, of which the last one ends now."""
    if not alarm.get("MetricName"):
        return
    period, periods, now = int(alarm["Period"]), int(alarm["EvaluationPeriods"]), time.time()
    values = [value_of(alarm, now - back * period, period) for back in range(1, periods + 1)]
    compare = COMPARISONS[alarm["ComparisonOperator"]]
    missing = MISSING.get(alarm["TreatMissingData"])
    breaching = [missing if value is None else compare(value, alarm["Threshold"]) for value in values]
    alarm["_breaching"] = bool(breaching[0])
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


def statistic_of(metric: Record, statistic: str, start: float, period: int) -> float | None:
    dimensions = {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions") or []}
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
    stored: list[Record] = cloudwatch._metrics.get(key, [])
    points = [point for point in stored if start <= point["Timestamp"] < start + period]
    if not points:
        return None
    value: Any = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
    return None if value is None else float(value)


CPU_UNITS = 1024
MEBIBYTE = 1024 * 1024

_before: dict[str, tuple[float, int]] = {}


def measure_usage() -> None:
    """Record CPUUtilization and MemoryUtilization of each service with running tasks, in percent of its limits."""
    running: set[str] = set()
    for task in ecs._tasks.values():
        if task["lastStatus"] != "RUNNING" or not task["group"].startswith("service:"):
            continue
        dimensions = (
            ("ClusterName", ecs._cluster_name_from_arn(task["clusterArn"])),
            ("ServiceName", task["group"].partition(":")[2]),
        )
        for container_id in task["_docker_ids"]:
            running.add(container_id)
            if sample := sampled(container_id, task):
                METRICS.observe("AWS/ECS", "CPUUtilization", dimensions, sample[0])
                METRICS.observe("AWS/ECS", "MemoryUtilization", dimensions, sample[1])
    for gone in _before.keys() - running:
        del _before[gone]


def sampled(container_id: str, task: Record) -> tuple[float, float] | None:
    """Return CPU use since the last sample and current memory use, in percent.

    Returns None for the first sample of a container and for a container that no longer exists.
    """
    client: Any = ecs._get_docker()
    try:
        stats = client.containers.get(container_id).stats(stream=False, one_shot=True)
        used = int(stats["cpu_stats"]["cpu_usage"]["total_usage"])
        memory = 100.0 * stats["memory_stats"]["usage"] / (int(task["memory"]) * MEBIBYTE)
    except (docker.errors.APIError, KeyError):
        return None
    now = time.monotonic()
    then, earlier = _before.get(container_id, (now, used))
    _before[container_id] = (now, used)
    if now == then:
        return None
    return 100.0 * (used - earlier) / 1e9 / (now - then) / (int(task["cpu"]) / CPU_UNITS), memory


FIELD_PATTERN = re.compile(r'^\{\s*\$\.(?P<field>\w+)\s*=\s*(?P<value>"[^"]*"|[^\s"}]+)\s*\}$')

stock_filter_pattern = cloudwatch_logs._compile_filter_pattern


@patch(cloudwatch_logs, "_compile_filter_pattern", gap="a pattern on JSON fields matches every line, ?terms none")
def compile_filter_pattern(raw: str) -> Callable[[str], bool]:
    """Add support for `{ $.field = value }` and `?term` patterns; raises ValueError for others on JSON fields."""
    text = (raw or "").strip()
    if text.startswith("?"):
        return lambda line: any(term.removeprefix("?") in line for term in text.split())
    if not text.startswith("{"):
        by_words: Callable[[str], bool] = stock_filter_pattern(raw)
        return by_words
    term = FIELD_PATTERN.match(text)
    if term is None:
        raise ValueError(f"the playground supports filter patterns such as {{ $.status = 500 }}, not {raw!r}")
    field, value = term["field"], term["value"].strip('"')

    def matches(line: str) -> bool:
        try:
            fields = json.loads(line)
        except ValueError:
            return False
        return isinstance(fields, dict) and field in fields and str(fields[field]) == value

    return matches


def reject_query(_data: Record) -> Any:
    """Reject StartQuery: MiniStack ignores filters that it doesn't support and returns every row."""
    message = "the playground has no Logs Insights: use make logs ENV=playground, with or without REQUEST=ID"
    return error_response_json("InvalidParameterException", message, 400)


def install() -> None:
    extend("logs", {"StartQuery": reject_query})
