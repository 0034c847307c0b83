"""CloudWatch Logs: Insights queries and filter patterns over JSON fields, metrics embedded in lines."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import cloudwatch, cloudwatch_logs, ecs

from playground.server import insights
from playground.server.expressions import COMPARISONS, QueryError
from playground.server.patching import Record, patch
from playground.server.services import extend

PAGE = 10_000  # AWS: the most that FilterLogEvents returns at once
FOR_EVER = 2**63
TERM = re.compile(r'^\$\.(?P<field>[\w.]+)\s*(?P<sign>!=|>=|<=|=|>|<)\s*(?P<value>"[^"]*"|[^\s"]+)$')


@patch(cloudwatch_logs, "_start_query", gap="unknown filters are ignored and return every row, JSON fields unknown")
def start_query(data: Record) -> Any:
    groups = cloudwatch_logs._resolve_query_log_groups(data)
    for name in groups:
        if name not in cloudwatch_logs._log_groups:
            message = f"The specified log group does not exist: {name}"
            return error_response_json("ResourceNotFoundException", message, 400)
    try:
        query = insights.read(data.get("queryString", ""))
    except QueryError as error:
        return error_response_json("MalformedQueryException", str(error), 400)
    records = cloudwatch_logs._collect_query_records(groups, data["startTime"], data["endTime"])
    lines = [
        {**insights.fields_of(record["@message"]), **cloudwatch_logs._public_log_record(record)} for record in records
    ]
    query.limit = min(query.limit, int(data.get("limit") or query.limit))
    rows, matched = query.run(lines)
    identifier = new_uuid()
    cloudwatch_logs._queries[identifier] = {
        **data,
        "queryId": identifier,
        "status": "Complete",
        "results": [[{"field": name, "value": str(value)} for name, value in row.items()] for row in rows],
        "statistics": {
            "recordsMatched": float(matched),
            "recordsScanned": float(len(lines)),
            "bytesScanned": float(sum(len(line["@message"]) for line in lines)),
        },
    }
    return json_response({"queryId": identifier})


stock_filter_pattern = cloudwatch_logs._compile_filter_pattern


@patch(cloudwatch_logs, "_compile_filter_pattern", gap="a pattern on JSON fields matches every line")
def compile_filter_pattern(pattern: str) -> Callable[[str], bool]:
    """`{ $.field = value && … }` here, plain words as before; raises QueryError for other patterns on fields."""
    text = (pattern or "").strip()
    if not text.startswith("{"):
        words: Callable[[str], bool] = stock_filter_pattern(pattern)
        return words
    terms = [TERM.match(part.strip()) for part in text.removeprefix("{").removesuffix("}").split("&&")]
    if not text.endswith("}") or None in terms:
        raise QueryError(f"the playground cannot read the filter pattern {pattern!r}")

    def matches(line: str) -> bool:
        fields = insights.fields_of(line)
        return all(_holds(fields.get(term["field"]), term["sign"], term["value"]) for term in terms if term)

    return matches


def _holds(stored: Any, sign: str, value: str) -> bool:
    if stored is None:
        return False
    try:
        return COMPARISONS[sign](float(stored), float(value))
    except (TypeError, ValueError):
        return COMPARISONS[sign](str(stored), value.strip('"'))


def filter_log_events(data: Record) -> Any:
    """FilterLogEvents: as many pages as it takes; MiniStack shows the oldest 10,000 lines and no way to the next."""
    name = cloudwatch_logs._resolve_log_group_name(data)
    group = cloudwatch_logs._log_groups.get(name)
    if group is None:
        message = f"The specified log group does not exist: {name}"
        return error_response_json("ResourceNotFoundException", message, 400)
    try:
        matches = compile_filter_pattern(data.get("filterPattern", ""))
    except QueryError as error:
        return error_response_json("InvalidParameterException", str(error), 400)
    begin, end = int(data.get("startTime") or 0), int(data.get("endTime") or FOR_EVER)
    names, prefix = set(data.get("logStreamNames") or []), data.get("logStreamNamePrefix", "")
    found = []
    with cloudwatch_logs._log_events_lock:
        for stream, record in group["streams"].items():
            if (not names or stream in names) and stream.startswith(prefix):
                found += [{**event, "logStreamName": stream} for event in record["events"]]
    found = [event for event in found if begin <= event["timestamp"] <= end and matches(event["message"])]
    found.sort(key=lambda event: int(event["timestamp"]))
    first, size = int(data.get("nextToken") or 0), min(int(data.get("limit") or PAGE), PAGE)
    answer: Record = {"events": found[first : first + size], "searchedLogStreams": []}
    if first + size < len(found):
        answer["nextToken"] = str(first + size)
    return json_response(answer)


stock_emit = ecs._emit_awslogs_event


@patch(ecs, "_emit_awslogs_event", gap="metrics in the embedded metric format are not extracted")
def emit_awslogs_event(config: Record, message: str) -> None:
    stock_emit(config, message)
    if '"_aws"' not in message:
        return
    try:
        document = json.loads(message)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive["Metrics"]:
                found = document[metric["Name"]]
                for value in found if isinstance(found, list) else [found]:
                    cloudwatch._store_datum(
                        directive["Namespace"], metric["Name"], dimensions, time.time(), metric.get("Unit", "None"),
                        value, None, None, None,
                    )  # fmt: skip


def install() -> None:
    extend("logs", "Logs_20140328", {"FilterLogEvents": filter_log_events})
