"""A short run of `make bench`. No test asserts a speed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.report import Results, Row, Samples
from tests.app.support import ROOT
from tests.machine import needs


def run_bench(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT, env={"PATH": path} if path else None, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_quick_run_measures_the_service_and_the_bare_view_on_both_stores(tmp_path: Path) -> None:
    needs(shutil.which("wrk"), "wrk is not installed")
    ran = run_bench("--quick", "--output", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    table = [line.strip("| ").split(" | ") for line in ran.stdout.splitlines() if line.startswith("| ")]
    for store in ("SQLite", "DynamoDB"):
        for what in (f"GET, {store}: CPU per request, µs", f"POST, {store}: p99 at half load, ms"):
            (row,) = [row for row in table if row[0] == what]
            assert row[-1] in {"reached", "not reached"}
    assert (tmp_path / "bench.md").read_text() in ran.stdout
    programs = {sample["program"] for sample in json.loads((tmp_path / "bench.json").read_text())}
    assert programs >= {"service", "bare view"}
    assert list(ElementTree.parse(tmp_path / "bench.svg").iter("{http://www.w3.org/2000/svg}circle"))


def test_without_wrk_the_error_names_the_package(tmp_path: Path) -> None:
    ran = run_bench(path=str(tmp_path))
    assert ran.returncode == 1
    assert "apt-get install wrk" in ran.stderr


@pytest.mark.parametrize(("service", "verdict"), [([10.0, 13.0, 99.0], "reached"), ([14.0, 14.0, 1.0], "not reached")])
def test_a_target_is_compared_with_the_median_of_the_ratios_of_each_round(service: list[float], verdict: str) -> None:
    row = Row("GET", "cpu_us", "CPU", 0, target="≤ 1.35")
    results: Results = {("GET", "service"): Samples(cpu_us=service), ("GET", "bare view"): Samples(cpu_us=[10.0] * 3)}
    assert row.verdict(row.ratio(results)) == verdict
