"""Table, plot and raw samples of a benchmark run."""

import json
import math
import platform
import statistics
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path

COLORS = {"service": "#0b66c3", "bare view": "#8a8f98", "Isso": "#c2571a"}
WIDTH, LEFT, RIGHT, ROW = 720, 150, 30, 44
NOTE = """\
Medians of {rounds} interleaved rounds; ratios are medians of the ratios within each round. Python {python}; servers on
one core, load generators on another. *Bare view*: a Flask view that makes the same store calls under the same gevent
worker. *p99 at half load*: requests at a fixed rate, half of the throughput above. The load generator was at most
{lag:.2f} ms late (p99)."""


@dataclass
class Samples:
    """One value per round."""

    requests_per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    """Microseconds of CPU per request, all processes of the server together."""
    p99_ms: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)
    startup_s: list[float] = field(default_factory=list)


Results = dict[tuple[str, str], Samples]
"""Samples by what was measured ("GET, SQLite") and program ("service", "bare view" or "Isso")."""


@dataclass(frozen=True)
class Row:
    """A row of the table. The ratio is the service's value to that of `baseline`; `target` is ≥ or ≤ and a number."""

    what: str
    metric: str
    label: str
    digits: int
    baseline: str = "bare view"
    target: str = ""

    def values(self, results: Results, program: str) -> list[float]:
        return list(getattr(results.get((self.what, program), Samples()), self.metric))

    def ratio(self, results: Results) -> float | None:
        pairs = zip(self.values(results, "service"), self.values(results, self.baseline), strict=False)
        return statistics.median(ratios) if (ratios := [service / baseline for service, baseline in pairs]) else None

    def verdict(self, ratio: float | None) -> str:
        if not self.target or ratio is None:
            return "not measured" if self.target else ""
        bound = float(self.target[2:])
        return "reached" if (ratio >= bound if self.target.startswith("≥") else ratio <= bound) else "not reached"


def _rows(what: str, *, cpu: str, isso: str = "") -> list[Row]:
    return [
        Row(what, "requests_per_second", "requests/s", 0, "Isso" if isso else "bare view", isso),
        Row(what, "cpu_us", "CPU per request, µs", 0, target=cpu),
        Row(what, "p99_ms", "p99 at half load, ms", 1, target="≤ 2"),
    ]


ROWS = [
    *_rows("GET, SQLite", cpu="≤ 1.35", isso="≥ 25"),
    *_rows("POST, SQLite", cpu="≤ 1.35", isso="≥ 10"),
    *_rows("GET, DynamoDB", cpu="≤ 1.25"),
    *_rows("POST, DynamoDB", cpu="≤ 1.25"),
    Row("start-up, SQLite", "startup_s", "s", 2),
    Row("start-up, DynamoDB", "startup_s", "s", 2),
]


def markdown(results: Results) -> str:
    lines = ["| | service | bare view | Isso | ratio | target | |", "|---|---:|---:|---:|---:|---:|---|"]
    for row in ROWS:
        medians = [
            f"{statistics.median(found):,.{row.digits}f}" if (found := row.values(results, program)) else ""
            for program in COLORS
        ]
        ratio = row.ratio(results)
        compared = f"{ratio:.2f}x {row.baseline}" if ratio else ""
        cells = [f"{row.what}: {row.label}", *medians, compared, row.target and f"{row.target}x", row.verdict(ratio)]
        lines.append(f"| {' | '.join(cells)} |")
    note = NOTE.format(
        rounds=max(len(samples.cpu_us) for samples in results.values()),
        python=platform.python_version(),
        lag=max((max(samples.lag_ms) for samples in results.values() if samples.lag_ms), default=0),
    )
    return "\n".join([*lines, "", note, ""])


def plot(results: Results) -> str:
    """Draw CPU per request as a dot plot: medians, and lines from the lowest to the highest round."""
    rows = [row for row in ROWS if row.metric == "cpu_us"]
    low, high = 100, 20_000
    bottom = 60 + ROW * len(rows)

    def x(value: float) -> float:
        part = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    parts = ['<text x="20" y="26" font-weight="bold">CPU per request, µs (logarithmic; less is better)</text>']
    for tick in (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000):
        parts.append(f'<path stroke="#8884" d="M{x(tick):.1f} 52V{bottom}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:,}</text>')
    for number, (program, color) in enumerate(COLORS.items()):
        parts.append(f'<circle cx="{LEFT + 110 * number}" cy="40" r="5" fill="{color}"/>')
        parts.append(f'<text x="{LEFT + 110 * number + 10}" y="44">{program}</text>')
    for number, row in enumerate(rows):
        y = 60 + ROW * (number + 0.5)
        parts.append(f'<text x="{LEFT - 16}" y="{y + 4:g}" text-anchor="end">{escape(row.what)}</text>')
        for program, color in COLORS.items():
            if found := row.values(results, program):
                parts.append(f'<path stroke="{color}" d="M{x(min(found)):.1f} {y:g}H{x(max(found)):.1f}"/>')
                parts.append(f'<circle cx="{x(statistics.median(found)):.1f}" cy="{y:g}" r="5" fill="{color}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 34}" font-family="sans-serif"'
        f' font-size="12" fill="#57606a" role="img" aria-label="CPU per request">{"".join(parts)}</svg>\n'
    )


def write(results: Results, folder: Path) -> None:
    samples = [{"what": what, "program": program} | asdict(found) for (what, program), found in results.items()]
    (folder / "bench.json").write_text(json.dumps(samples, indent=1) + "\n")
    (folder / "bench.md").write_text(markdown(results))
    (folder / "bench.svg").write_text(plot(results))
