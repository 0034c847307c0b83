"""The tables of docs/scaling.md."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from bench.scaling.measured import READ_ON
from bench.scaling.settings import read, synthesized
from bench.scaling.sizing import SQLITE_CPU, Plan, limits, plan, savings
from bench.scaling.spike import Outcome, quiet, ramp, simulate, step
from infra.cost.bill import bill
from infra.cost.prices import AS_OF
from infra.cost.traffic import Traffic
from infra.stages import STAGES, Stage

RATES = (10, 1_000, 100_000)
"""Requests a second."""
TIMES = (5, 10, 20)
"""Heights of a spike, in multiples of the load before."""
PROD = STAGES["prod"]
BEFORE = replace(PROD, cpu_seconds=60, max_tasks=10)
"""prod as it was before the simulation."""
SPIKES = {
    "dev": STAGES["dev"],
    "prod as it was": BEFORE,
    "prod as it is": PROD,
    "tried: CPU target of 50 %": replace(PROD, cpu_target=50),
    "tried: three tasks at the least": replace(PROD, min_tasks=3),
}


def blocks() -> dict[str, str]:
    """Return each table by the name that its place in the document has."""
    made = {"limits": _limits(), "rates": _rates(), "savings": _savings(), "spikes": _spikes()}
    return {name: "\n".join(lines) for name, lines in made.items()}


def _limits() -> Iterator[str]:
    yield f"| requests a second | limit (prod, quotas as of {READ_ON}) | then |"
    yield "|---:|---|---|"
    for limit in limits(read(PROD), cpu_target=PROD.cpu_target):
        yield f"| {_round(limit.rate)} | {limit.name} | {limit.then} |"


def _rates() -> Iterator[str]:
    plans = [plan(PROD, rate) for rate in RATES]
    yield "| requests a second, even all month | " + " | ".join(f"{rate:,}" for rate in RATES) + " |"
    yield "|---|" + "---:|" * len(RATES)
    for name, each in _ROWS.items():
        yield f"| {name} | " + " | ".join(each(made) for made in plans) + " |"
    yield from _dearest(plans)


_ROWS: dict[str, Callable[[Plan], str]] = {
    f"tasks of prod's size, at {PROD.cpu_target} % CPU": lambda made: f"{made.tasks:,}",
    "cores of one machine, if it were SQLite there": lambda made: f"{made.rate * SQLITE_CPU:,.2f}",
    "vCPUs": lambda made: f"{made.vcpu:,.1f}",
    "balancer units (LCU)": lambda made: f"{made.units:,.1f}",
    "table: read units a second": lambda made: f"{made.reads:,.0f}",
    "table: write units a second": lambda made: f"{made.writes:,.0f}",
    "partitions, spread evenly": lambda made: f"{made.partitions:,}",
    "log lines, MB a second": lambda made: f"{made.log_megabytes:,.2f}",
    f"dollars a month, prices of {AS_OF}": lambda made: f"**{made.month.total:,.0f}**",
}


def _dearest(plans: list[Plan]) -> Iterator[str]:
    """Yield the bill's largest lines at the highest rate."""
    last = sorted(plans[-1].month.lines, key=lambda line: -line.dollars)[:6]
    for label in (line.label for line in last):
        dollars = (sum(line.dollars for line in made.month.lines if line.label == label) for made in plans)
        yield f"| of it {label} | " + " | ".join(f"{each:,.0f}" for each in dollars) + " |"


def _savings() -> Iterator[str]:
    yield f"| at {RATES[-1]:,} requests a second, one after the other | dollars a month |"
    yield "|---|---:|"
    for name, dollars in savings(PROD, RATES[-1]):
        yield f"| {name} | {dollars:,.0f} |"


def _spikes() -> Iterator[str]:
    heights = [f"{kind} to {times}-fold" for kind in ("step", "ramp") for times in TIMES]
    yield "| stage | idle, $ a month | before the spike, requests a second | " + " | ".join(heights) + " |"
    yield "|---|---:|---:|" + "---:|" * len(heights)
    for name, stage in SPIKES.items():
        settings = read(stage)
        base = quiet(read(stage if stage.name == "dev" else PROD))
        found = (simulate(settings, kind(base, times)) for kind in (step, ramp) for times in TIMES)
        yield f"| {name} | {_idle(stage):.2f} | {base:.0f} | " + " | ".join(map(_cell, found)) + " |"


def _cell(outcome: Outcome) -> str:
    if not outcome.ends:
        return f"does not end, {outcome.refused:.0%}"
    return f"{outcome.overloaded} s, {outcome.refused:.1%}"


def _idle(stage: Stage) -> float:
    return bill(synthesized(stage), Traffic(0)).total


def _round(rate: float) -> str:
    """Two digits: nothing here is known better."""
    digits = max(0, len(str(int(rate))) - 2)
    return f"{round(rate, -digits):,.0f}"
