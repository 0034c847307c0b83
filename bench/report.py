"""What is to be reached, what was measured, and both as one table in Markdown and in JSON."""

import json
import math
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import where

TIMES = "\u00d7"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A row of the table; exactly one of `least` and `most` is set."""

    key: str
    what: str
    least: float | None = None
    most: float | None = None
    unit: str = TIMES

    def reached(self, value: float) -> bool:
        return value >= self.least if self.least is not None else value <= (self.most or 0)

    @property
    def bound(self) -> str:
        return f"≥ {self.least:g} {self.unit}" if self.least is not None else f"≤ {self.most:g} {self.unit}"


HOW = """\
Python {python}, {where}, loopback only. Ratios are to the yardstick, a bare Flask view that answers a constant of the
same 20 comments under gunicorn gthread, 1 worker of 8 threads: each the median of the ratios within a round. Half load
is half of what each answers at the most, at a fixed rate, timed from when a request was due. Per core: CPU time of a
server's processes per request."""

TARGETS = (
    Target(key="get", what="GET a page of 20, one million comments stored, SQLite: rate", least=0.85),
    Target(key="get_stored", what="the same against the same with 20 stored: rate", least=0.95),
    Target(key="post", what="POST, validated, durable (`synchronous=FULL`): rate", least=0.75),
    Target(key="get_isso", what="GET against Isso's better mode: rate", least=30),
    Target(key="post_isso", what="POST against Isso's better mode: rate", least=10),
    Target(key="dynamodb", what="GET through DynamoDB's local engine, per core of the service", least=0.30),
    Target(key="get_p99", what="GET, p99 at half load against the yardstick's", most=1.1),
    Target(key="post_p99", what="POST, p99 at half load against the yardstick's GET", most=1.3),
    Target(key="start", what="start to the first 200 against the yardstick's", most=1.3),
    Target(key="start_quarter", what="the same in the container, at a quarter of a core", most=2.2, unit="s"),
    Target(key="memory", what="memory of master and worker after load (PSS), on SQLite", most=60, unit="MB"),
    Target(key="memory_dynamodb", what="the same on DynamoDB, as a task on AWS runs", most=60, unit="MB"),
    Target(key="synth", what="`cdk synth` of a stage against an empty CDK app, without validation", most=1.25),
    Target(key="deployment", what="deployment of a changed image in the playground, layers cached", most=15, unit="s"),
)


@dataclass
class Report:
    """Collected part by part; what could not be measured has a reason instead of a value."""

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def measured(self, key: str, value: float, remark: str = "") -> None:
        self.values[key] = value
        self.remarks[key] = remark
        if math.isnan(value):
            self.skipped("only Linux tells the CPU time of other processes", key)

    def skipped(self, reason: str, *keys: str) -> None:
        self.reasons |= dict.fromkeys(keys, reason)

    def rows(self) -> list[dict[str, Any]]:
        return [self._row(target) for target in TARGETS]

    def _row(self, target: Target) -> dict[str, Any]:
        value = self.values.get(target.key, math.nan)
        known = not math.isnan(value)
        return {
            "key": target.key,
            "what": target.what,
            "value": value if known else None,
            "unit": target.unit,
            "to_reach": target.bound,
            "reached": target.reached(value) if known else None,
            "remark": self.remarks.get(target.key, "") if known else self.reasons.get(target.key, "not asked for"),
        }

    def markdown(self) -> str:
        lines = ["| what | measured | to reach | | |", "|---|---|---|---|---|"]
        for row in self.rows():
            value = "" if row["value"] is None else f"{row['value']:.2f} {row['unit']}"
            verdict = {True: "reached", False: "**not reached**", None: "not measured"}[row["reached"]]
            lines.append(f"| {row['what']} | {value} | {row['to_reach']} | {verdict} | {row['remark']} |")
        return "\n".join((*lines, "", *self._most(), "", HOW.format(python=platform.python_version(), where=where())))

    def _most(self) -> list[str]:
        """Return the table of what each server answers at the most, if that was asked for."""
        if "most" not in self.details:
            return []
        lines = [
            "| at the most | a second: median (lowest to highest) | CPU a request | of yardstick | generator busy |",
            "|---|---|---|---|---|",
        ]
        for name, found in self.details["most"].items():
            spread = f"{found['rate']:,.0f} ({found['rate_lowest']:,.0f} to {found['rate_highest']:,.0f})"
            failed = f"; {found['failed']:.0f} failed" if found["failed"] else ""
            cpu = f"{found['cpu']:.0f} µs" if "cpu" in found else ""
            share = f"{cpu} | {found['of_yardstick']:.3f} | {found['busy']:.0%}"
            lines.append(f"| {name} | {spread}{failed} | {share} |")
        return lines

    def save(self, folder: Path) -> None:
        (folder / "bench.md").write_text(self.markdown() + "\n")
        document = {"rows": self.rows(), "python": platform.python_version(), "pinned": where(), **self.details}
        (folder / "bench.json").write_text(json.dumps(document, indent=1) + "\n")
