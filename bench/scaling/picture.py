"""Draws a spike of ten times: what is asked, and what prod can answer before and after its settings were improved."""

import math
from collections.abc import Sequence

from bench.scaling.report import BEFORE, PROD
from bench.scaling.settings import read
from bench.scaling.spike import capacity, quiet, simulate, step
from infra.pictures import svg

TIMES = 10
SHOWN = 480
"""Seconds."""
_GRID = 500
"""Requests a second between two numbers of the axis."""
_WIDTH, _HEIGHT = 720, 300
_PLOT = svg.Box(60, 50, 630, 200)


def draw() -> str:
    before, after = read(BEFORE), read(PROD)
    load = step(quiet(after), TIMES)
    asked = [load(second) for second in range(SHOWN)]
    top = _GRID * math.ceil(1.2 * asked[0] / _GRID)
    curves = [
        [tasks * capacity(settings) for tasks in simulate(settings, load).serving[:SHOWN]]
        for settings in (before, after)
    ]
    names = ("asked", "answered at most, as it was", "answered at most, as it is")
    parts = [
        svg.text(20, 28, f"A spike of {TIMES} times in prod, requests a second", kind="head"),
        *_axes(top),
        *(_line(curve, top, number) for number, curve in enumerate([asked, *curves])),
        *(svg.text(300, 128 + 16 * number, f"— {name}", kind=f"f{number}") for number, name in enumerate(names)),
    ]
    return svg.document(_WIDTH, _HEIGHT, label=f"A spike of {TIMES} times, simulated", parts=parts)


def _axes(top: float) -> list[str]:
    drawn = []
    for second in range(0, SHOWN + 1, 60):
        x = _PLOT.x + _PLOT.width * second / SHOWN
        drawn.append(f'<path class="axis" d="M{x:g} {_PLOT.y} V{_PLOT.y + _PLOT.height}"/>')
        drawn.append(svg.text(x, _PLOT.y + _PLOT.height + 18, f"{second} s", anchor="middle"))
    for rate in range(0, int(top) + 1, _GRID):
        y = _PLOT.y + _PLOT.height * (1 - rate / top)
        drawn.append(svg.text(_PLOT.x - 8, y + 4, f"{rate:,}", anchor="end"))
    return drawn


def _line(values: Sequence[float], top: float, number: int) -> str:
    points: list[str] = []
    for second, value in enumerate(values):
        if second in {0, len(values) - 1} or value != values[second - 1]:
            x = _PLOT.x + _PLOT.width * second / SHOWN
            y = _PLOT.y + _PLOT.height * (1 - min(1.0, value / top))
            points.append(f"H{x:.1f} V{y:.1f}" if points else f"M{x:.1f} {y:.1f}")
    return f'<path class="curve c{number}" d="{" ".join(points)}"/>'
