"""Logs Insights: fields, filter, sort, limit and stats over JSON log lines; what it cannot run is an error."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from playground.server.expressions import Condition, Fields, Parser, QueryError

DEFAULT_FIELDS = ("@timestamp", "@message")
DEFAULT_LIMIT = 10_000  # AWS: the most that a query returns
STAGE = re.compile(r"""(?:[^|"'/]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|/(?:\\.|[^/\\|])*/|/)+""")
AGGREGATE = re.compile(r"^(?P<function>\w+)\((?P<arguments>[^)]*)\)(?:\s+as\s+(?P<alias>[\w.]+))?$", re.IGNORECASE)

Row = dict[str, Any]


@dataclass(frozen=True)
class Aggregate:
    """One `function(field) as name` of a stats stage."""

    name: str
    compute: Callable[[list[Any]], float]
    source: str


@dataclass
class Query:
    """A query, read; `run` applies it."""

    fields: Sequence[str] = DEFAULT_FIELDS
    conditions: list[Condition] = field(default_factory=list)
    aggregates: list[Aggregate] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    """Field and whether it descends."""
    limit: int = DEFAULT_LIMIT

    def run(self, records: Sequence[Fields]) -> tuple[list[Row], int]:
        """The rows that the query answers, and how many records matched."""
        matched = [record for record in records if all(condition(record) for condition in self.conditions)]
        rows: list[Row] = self._aggregated(matched) if self.aggregates else [dict(record) for record in matched]
        for name, descending in reversed(self.order):
            rows.sort(key=lambda row: _sortable(row.get(name)), reverse=descending)
        names = [*self.groups, *(one.name for one in self.aggregates)] if self.aggregates else [*self.fields, "@ptr"]
        shown = [{name: row[name] for name in names if row.get(name) is not None} for row in rows[: self.limit]]
        return shown, len(matched)

    def _aggregated(self, records: Sequence[Fields]) -> list[Row]:
        grouped: defaultdict[tuple[Any, ...], list[Fields]] = defaultdict(list)
        for record in records:
            grouped[tuple(record.get(name) for name in self.groups)].append(record)
        rows = []
        for key, members in grouped.items():
            row: Row = dict(zip(self.groups, key, strict=True))
            for one in self.aggregates:
                values = [member.get(one.source, 1 if one.source == "*" else None) for member in members]
                row[one.name] = one.compute([value for value in values if value is not None])
            rows.append(row)
        return rows


def read(text: str) -> Query:
    """Raise QueryError for anything that would be ignored otherwise."""
    query = Query()
    for stage in (part.strip() for part in STAGE.findall(text)):
        command, _, rest = stage.partition(" ")
        rest = rest.strip()
        match command.lower():
            case "fields" | "display":
                query.fields = tuple(_names(rest))
            case "filter":
                query.conditions.append(Parser(rest).condition())
            case "sort":
                query.order = [_ordered(part) for part in rest.split(",")]
            case "limit" if rest.isdecimal():
                query.limit = min(int(rest), DEFAULT_LIMIT)
            case "stats":
                computed, _, by = re.sub(r"\s+by\s+", "\0", rest, count=1, flags=re.IGNORECASE).partition("\0")
                query.aggregates = [_aggregate(part.strip()) for part in re.split(r",(?![^(]*\))", computed)]
                query.groups = _names(by) if by else []
            case _:
                raise QueryError(f"the playground's Logs Insights cannot run {stage!r}")
    return query


def fields_of(message: str) -> Row:
    """What Insights discovers in a JSON line, nested keys joined by dots."""
    try:
        document = json.loads(message)
    except ValueError:
        return {}
    found: Row = {}

    def discover(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                discover(f"{prefix}.{key}" if prefix else key, inner)
        else:
            found[prefix] = value

    if isinstance(document, dict):
        discover("", document)
    return found


def _names(text: str) -> list[str]:
    names = [name.strip().strip("`") for name in text.split(",")]
    for name in names:
        if not re.fullmatch(r"[@\w][\w.@ ]*", name) or " as " in name:
            raise QueryError(f"the playground's Logs Insights shows plain fields only, not {name!r}")
    return names


def _ordered(text: str) -> tuple[str, bool]:
    match text.split():
        case [name]:
            return name, False
        case [name, direction] if direction.lower() in {"asc", "desc"}:
            return name, direction.lower() == "desc"
    raise QueryError(f"the playground's Logs Insights cannot sort by {text!r}")


def _aggregate(text: str) -> Aggregate:
    match = AGGREGATE.match(text)
    function = match["function"].lower() if match else ""
    source, _, level = match["arguments"].partition(",") if match else ("", "", "")
    name = (match["alias"] or text) if match else text
    if function == "pct" and level.strip().replace(".", "", 1).isdecimal():
        return Aggregate(name, _percentile(float(level)), source.strip())
    if function not in FUNCTIONS or level:
        raise QueryError(f"the playground's Logs Insights cannot compute {text!r}")
    return Aggregate(name, FUNCTIONS[function], source.strip())


FUNCTIONS: dict[str, Callable[[list[Any]], float]] = {
    "avg": lambda values: sum(map(float, values)) / len(values) if values else 0.0,
    "count": len,
    "max": lambda values: max(map(float, values), default=0.0),
    "min": lambda values: min(map(float, values), default=0.0),
    "sum": lambda values: sum(map(float, values)),
}


def _percentile(level: float) -> Callable[[list[Any]], float]:
    def compute(values: list[Any]) -> float:
        ordered = sorted(map(float, values))
        return ordered[min(len(ordered) - 1, int(level / 100 * len(ordered)))] if ordered else 0.0

    return compute


def _sortable(value: Any) -> tuple[int, float, str]:
    """Missing values first, then numbers, then text."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, 0.0, str(value)
