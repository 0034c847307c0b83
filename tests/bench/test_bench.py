"""`make bench` in a few seconds: every row is there, measured or with the reason; how fast it was is not asserted."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.deployment import COUNTED, seconds_by_step
from bench.report import TARGETS, Report
from infra.release.steps import Steps

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "bench", "--quick", "--output", str(folder)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == (folder / "bench.md").read_text()
    return folder


@pytest.fixture(scope="module")
def results(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "bench.json").read_text())
    return found


def test_every_row_is_measured_or_says_why_not(results: dict[str, Any]) -> None:
    assert [row["key"] for row in results["rows"]] == [target.key for target in TARGETS]
    for row in results["rows"]:
        assert row["remark"] if row["value"] is None else row["value"] > 0


def test_what_needs_nothing_but_this_project_is_measured(results: dict[str, Any]) -> None:
    measured = {row["key"] for row in results["rows"] if row["value"] is not None}
    assert {"get", "get_stored", "post", "dynamodb", "get_p99", "post_p99", "start", "synth"} <= measured


def test_no_request_of_the_load_fails(results: dict[str, Any]) -> None:
    assert {name: found["failed"] for name, found in results["most"].items() if found["failed"]} == {}
    assert {name: found["failed"] for name, found in results["half_load"].items() if found["failed"]} == {}


def test_the_table_names_every_row(output: Path) -> None:
    table = (output / "bench.md").read_text()
    assert all(f"| {target.what} |" in table for target in TARGETS)


def test_each_curve_is_a_picture(output: Path) -> None:
    pictures = {path.name: ElementTree.parse(path).getroot() for path in output.glob("*.svg")}
    assert set(pictures) == {"bench-answered.svg", "bench-p50.svg", "bench-p99.svg", "bench-stored.svg"}
    for picture in pictures.values():
        assert [path for path in picture.iter("{http://www.w3.org/2000/svg}path") if "curve" in path.get("class", "")]


def test_the_steps_of_a_release_are_told_apart() -> None:
    printed = io.StringIO()
    steps = Steps(printed)
    for title in ("image 0123456789ab", "scan", "service at sha256:0123"):
        with steps.step(title):
            steps.note("a line of it")
    assert seconds_by_step(printed.getvalue()) == dict.fromkeys(COUNTED, 0.0)


def test_a_row_says_whether_its_target_is_reached() -> None:
    report = Report()
    report.measured("get", 0.9)
    report.measured("memory", 61.0)
    report.skipped("needs a playground", "deployment")
    verdicts = {row["key"]: row["reached"] for row in report.rows()}
    assert (verdicts["get"], verdicts["memory"], verdicts["deployment"]) == (True, False, None)
    assert "needs a playground" in report.markdown()
