"""The curves as SVG: lines in a box, a logarithmic axis where values span decades."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.pictures.svg import COLORS, Box, document, text

WIDTH, HEIGHT = 560, 340
PLOT = Box(62, 44, WIDTH - 62 - 20, HEIGHT - 44 - 74)
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """From the lowest to the highest of what is shown; a linear one begins at 0."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[float], *, logarithmic: bool) -> "Axis":
        known = [value for value in values if not math.isnan(value)] or [1.0]
        if not logarithmic:
            return cls(0, max(known) * 1.08, logarithmic=False)
        return cls(10 ** math.floor(math.log10(min(known))), 10 ** math.ceil(math.log10(max(known) * 1.01)), True)

    def part(self, value: float) -> float:
        if self.logarithmic:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            decades = round(math.log10(self.high / self.low))
            return [self.low * 10**step for step in range(decades + 1)]
        rough = self.high / 5
        unit = 10 ** math.floor(math.log10(rough))
        step = unit * min((1, 2, 5, 10), key=lambda each: abs(each * unit - rough))
        return [step * number for number in range(int(self.high / step) + 1)]


def lines(
    title: str,
    curves: Mapping[str, Points],
    *,
    x: str,
    y: str,
    logarithmic: tuple[bool, bool] = (False, False),
) -> str:
    """Return a picture of named curves; x and y say what the axes are, in which unit."""
    across = Axis.over([point[0] for points in curves.values() for point in points], logarithmic=logarithmic[0])
    up = Axis.over([point[1] for points in curves.values() for point in points], logarithmic=logarithmic[1])
    parts = [text(PLOT.x, 26, title, kind="head")]
    bottom = PLOT.y + PLOT.height
    for tick in up.ticks():
        at = bottom - PLOT.height * up.part(tick)
        parts.append(f'<path class="axis" d="M{PLOT.x:g} {at:.1f}H{PLOT.x + PLOT.width:g}"/>')
        parts.append(text(PLOT.x - 6, round(at + 4, 1), _number(tick), anchor="end"))
    for tick in across.ticks():
        at = round(PLOT.x + PLOT.width * across.part(tick), 1)
        parts += [text(at, bottom + 16, _number(tick), anchor="middle")]
    parts.append(text(PLOT.x + PLOT.width, bottom + 32, x, anchor="end"))
    parts.append(text(PLOT.x, PLOT.y - 6, y))
    for number, (name, points) in enumerate(curves.items()):
        parts += _curve(number, name, points, across, up)
    return document(WIDTH, HEIGHT, label=title, parts=parts)


def _curve(number: int, name: str, points: Points, across: Axis, up: Axis) -> list[str]:
    places = [
        (PLOT.x + PLOT.width * across.part(x), PLOT.y + PLOT.height * (1 - up.part(y)))
        for x, y in points
        if not math.isnan(y)
    ]
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    color = number % COLORS
    column, row = number % 3, number // 3
    left, top = PLOT.x + column * 165, HEIGHT - 30 + row * 16
    return [
        f'<path class="curve c{color}" d="M{path}"/>' if path else "",
        *(f'<circle class="f{color}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in places),
        f'<path class="curve c{color}" d="M{left:g} {top - 4:g}h16"/>',
        text(left + 21, top, name),
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"
