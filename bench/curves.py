"""Which curves are drawn of a report, and where they are written."""

from pathlib import Path
from typing import Any

from bench.plot import Points, lines
from bench.report import Report

SHORT = {
    "yardstick: GET": "yardstick, GET",
    "service: GET, SQLite": "service, GET",
    "service: POST, SQLite": "service, POST",
}


def draw(report: Report, folder: Path) -> list[Path]:
    """Write the pictures; return their paths."""
    curve: dict[str, list[dict[str, Any]]] = report.details.get("curve", {})
    stored: list[dict[str, float]] = report.details.get("stored", [])
    offered = "offered, requests a second"

    def of(field: str) -> dict[str, Points]:
        return {SHORT[name]: [(point["offered"], point[field]) for point in points] for name, points in curve.items()}

    pictures = {}
    if curve:
        pictures["answered"] = lines("What is answered of what is offered", of("rate"), x=offered, y="a second")
        for field, name in (("p50", "median"), ("p99", "99th percentile")):
            title = f"Answer time against load: {name}"
            pictures[field] = lines(title, of(field), x=offered, y="milliseconds", logarithmic=(False, True))
    if stored:
        points = [(each["stored"], each["rate"]) for each in stored]
        title = "Lists of 20 against what is stored"
        pictures["stored"] = lines(
            title, {"service, GET": points}, x="comments stored", y="a second", logarithmic=(True, False)
        )
    paths: list[Path] = []
    for name, picture in pictures.items():
        paths.append(folder / f"bench-{name}.svg")
        paths[-1].write_text(picture)
    return paths
