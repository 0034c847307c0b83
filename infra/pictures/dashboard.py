"""The dashboard's picture: its widgets where the template puts them, with made-up curves."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.pictures.svg import COLORS, Box, curve, document, rectangle, text

_COLUMN, _ROW, _MARGIN, _GAP = 40, 27, 12, 3
_COLUMNS = 24  # CloudWatch: columns of a dashboard
_NOTE = "Layout, titles and lines are the template's; the curves are made up."
_RISING = {"p50", "avg"}
"""What begins a legend whose later lines lie above."""

Widget = Mapping[str, Any]


def widgets(template: Mapping[str, Any]) -> list[Widget]:
    """Return the widgets of the only dashboard, references shown by logical id."""
    (board,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::CloudWatch::Dashboard")
    parts = board["Properties"]["DashboardBody"]["Fn::Join"][1]
    body: dict[str, list[Widget]] = json.loads(
        "".join(part if isinstance(part, str) else _name(part) for part in parts)
    )
    return body["widgets"]


def _name(reference: Mapping[str, Any]) -> str:
    value = next(iter(reference.values()))
    return str(value[0] if isinstance(value, list) else value)


def draw(template: Mapping[str, Any]) -> str:
    """Return the picture of a service's dashboard."""
    shown = widgets(template)
    height = max(each["y"] + each["height"] for each in shown) * _ROW + 2 * _MARGIN + 20
    width = _COLUMNS * _COLUMN + 2 * _MARGIN
    parts = [part for each in shown for part in _DRAWN[each["type"]](each["properties"], _place(each), template)]
    parts.append(text(width - _MARGIN, height - _MARGIN, _NOTE, anchor="end"))
    return document(width, height, label="The dashboard of a stage", parts=parts)


def _place(widget: Widget) -> Box:
    return Box(
        _MARGIN + widget["x"] * _COLUMN + _GAP,
        _MARGIN + widget["y"] * _ROW + _GAP,
        widget["width"] * _COLUMN - 2 * _GAP,
        widget["height"] * _ROW - 2 * _GAP,
    )


def _heading(properties: Widget, box: Box, _: Mapping[str, Any]) -> Iterator[str]:
    yield text(box.x + 2, box.y + 17, properties["markdown"].lstrip("# "), kind="head")


def _alarms(properties: Widget, box: Box, template: Mapping[str, Any]) -> Iterator[str]:
    yield rectangle(box, "frame")
    yield text(box.x + 10, box.y + 18, properties["title"], kind="title")
    per_row = -(-len(properties["alarms"]) // 2)
    for index, logical in enumerate(properties["alarms"]):
        row, column = divmod(index, per_row)
        chip = Box(box.x + 10 + column * (box.width - 20) / per_row, box.y + 26 + row * 22, 8, 8)
        name = template["Resources"][logical]["Properties"]["AlarmName"]
        yield f'<rect class="f3" x="{chip.x:g}" y="{chip.y + 4:g}" width="8" height="8" rx="2"/>'
        yield text(chip.x + 14, chip.y + 12, name)


def _graph(properties: Widget, box: Box, _: Mapping[str, Any]) -> Iterator[str]:
    yield rectangle(box, "box")
    yield text(box.x + 10, box.y + 18, properties["title"], kind="title")
    plot = Box(box.x + 12, box.y + 28, box.width - 24, box.height - 56)
    floor = plot.y + plot.height
    yield f'<path class="axis" d="M{plot.x:g} {floor:g}H{plot.x + plot.width:g}"/>'
    names = _labels(properties["metrics"])
    levels = [0.62 - 0.48 * number / max(len(names) - 1, 1) for number in range(len(names))]
    if names[0] in _RISING:
        levels.reverse()
    for number, level in enumerate(levels):
        yield curve(plot, number=number, height=level)
    for least in properties.get("annotations", {}).get("horizontal", []):
        line = plot.y + plot.height * 0.5
        yield f'<path class="least" d="M{plot.x:g} {line:g}H{plot.x + plot.width:g}"/>'
        yield text(plot.x + plot.width, line + 13, f"{least['label']} {least['value']}", anchor="end")
    at = plot.x
    for number, name in enumerate(names):
        yield f'<rect class="f{number % COLORS}" x="{at:g}" y="{floor + 10:g}" width="8" height="8" rx="2"/>'
        yield text(at + 12, floor + 18, name)
        at += 26 + 6.2 * len(name)


def _labels(metrics: list[list[Any]]) -> list[str]:
    """Return what the legend says: a search stands for as many lines as there are routes."""
    options = [each[-1] for each in metrics]
    if any("expression" in each for each in options):
        return ["one line", "for each", "route"]
    return [str(each["label"]) for each in options]


_DRAWN = {"alarm": _alarms, "text": _heading, "metric": _graph}
