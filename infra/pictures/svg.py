"""Just enough SVG: text, boxes, arrows and curves, legible on light and dark pages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import sin

FONT = "ui-sans-serif, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
_STYLE = f"""
text {{ font-family: {FONT}; font-size: 11px; fill: #57606a; }}
.page {{ fill: #ffffff; stroke: #d0d7de; }}
.frame {{ fill: #f6f8fa; stroke: #d0d7de; }}
.box {{ fill: #ffffff; stroke: #8c959f; }}
.title {{ font-size: 13px; font-weight: 600; fill: #1f2328; }}
.head {{ font-size: 15px; font-weight: 600; fill: #1f2328; }}
.arrow {{ stroke: #57606a; stroke-width: 1.5; fill: none; }}
.tip {{ fill: #57606a; }}
.axis {{ stroke: #d0d7de; }}
.least {{ stroke: #cf222e; stroke-dasharray: 4 3; }}
.c0 {{ stroke: #0969da; }} .c1 {{ stroke: #bf8700; }} .c2 {{ stroke: #8250df; }} .c3 {{ stroke: #1a7f37; }}
.f0 {{ fill: #0969da; }} .f1 {{ fill: #bf8700; }} .f2 {{ fill: #8250df; }} .f3 {{ fill: #1a7f37; }}
.curve {{ fill: none; stroke-width: 1.6; }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #9198a1; }}
.page {{ fill: #0d1117; stroke: #3d444d; }}
.frame {{ fill: #151b23; stroke: #3d444d; }}
.box {{ fill: #0d1117; stroke: #656c76; }}
.title, .head {{ fill: #f0f6fc; }}
.arrow {{ stroke: #9198a1; }}
.tip {{ fill: #9198a1; }}
.axis {{ stroke: #3d444d; }}
.least {{ stroke: #f85149; }}
.c0 {{ stroke: #4493f8; }} .c1 {{ stroke: #d29922; }} .c2 {{ stroke: #ab7df8; }} .c3 {{ stroke: #3fb950; }}
.f0 {{ fill: #4493f8; }} .f1 {{ fill: #d29922; }} .f2 {{ fill: #ab7df8; }} .f3 {{ fill: #3fb950; }}
}}
"""
COLORS = 4
_LINE = 15


@dataclass(frozen=True)
class Box:
    """A rectangle; its sides are where arrows begin and end."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height


def document(width: int, height: int, *, label: str, parts: Iterable[str]) -> str:
    """Return the file's text; `label` is what a screen reader says."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return "\n".join(
        (
            f'{head} role="img" aria-label="{escape(label)}">',
            f"<style>{_STYLE}</style>",
            f'<defs>{tip}<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            *parts,
            "</svg>\n",
        )
    )


def rectangle(box: Box, kind: str) -> str:
    return f'<rect class="{kind}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="6"/>'


def text(x: float, y: float, words: str, *, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def labelled(box: Box, title: str, *lines: str) -> list[str]:
    """A box with a title and smaller lines, in its middle."""
    middle = box.x + box.width / 2
    first = box.y + box.height / 2 - len(lines) * _LINE / 2 + 4
    return [
        rectangle(box, "box"),
        text(middle, first, title, kind="title", anchor="middle"),
        *(text(middle, first + _LINE * (row + 1), line, anchor="middle") for row, line in enumerate(lines)),
    ]


def frame(box: Box, title: str, remark: str) -> list[str]:
    """A box around others, with its name in the upper left corner."""
    return [
        rectangle(box, "frame"),
        text(box.x + 12, box.y + 20, title, kind="title"),
        text(box.x + 12, box.y + 35, remark),
    ]


def arrow(*points: tuple[float, float], label: str = "", at: tuple[float, float] | None = None) -> list[str]:
    path = " ".join(f"{'L' if index else 'M'}{x:g} {y:g}" for index, (x, y) in enumerate(points))
    drawn = [f'<path class="arrow" d="{path}" marker-end="url(#tip)"/>']
    if label and at:
        drawn.append(text(*at, label, anchor="middle"))
    return drawn


def curve(box: Box, *, number: int, height: float) -> str:
    """Return a made-up line in the box, the same every time: wavy, around a part of its height."""
    steps = 32
    points: Sequence[str] = [
        f"{box.x + box.width * step / steps:.1f} {box.y + box.height * (1 - height - 0.07 * _wave(number, step)):.1f}"
        for step in range(steps + 1)
    ]
    return f'<path class="curve c{number % COLORS}" d="M{" L".join(points)}"/>'


def _wave(number: int, step: int) -> float:
    return sin(step * 0.55 + number * 2.1) + 0.5 * sin(step * 1.7 + number)
