"""How long `cdk synth` of a stage takes, beside an empty app: the built-in validation, most of both, is off."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench.machine import ROOT
from bench.programs import CLEAN
from bench.report import Report
from bench.rounds import ratio
from bench.scale import Scale

STAGE = "dev"
APPS = {"stage": "infra.main", "empty": "bench.apps.empty_stage"}


def measure(report: Report, scale: Scale) -> None:
    if not shutil.which("cdk") or not shutil.which("node"):
        report.skipped("the CDK CLI is not installed: run make setup", "synth")
        return
    times: dict[str, list[float]] = {name: [] for name in APPS}
    for _ in range(scale.syntheses):
        for name, module in APPS.items():
            times[name].append(seconds(module))
    stage, empty = times["stage"], times["empty"]
    remark = f"{statistics.median(stage):.2f} against {statistics.median(empty):.2f} s"
    report.measured("synth", ratio(stage, empty), remark)
    report.details["synth"] = times


def seconds(module: str) -> float:
    environ = {**CLEAN, "CDK_VALIDATION": "false"}
    with tempfile.TemporaryDirectory() as output:
        command = ["cdk", "synth", "--quiet", "--output", output, "--app", f"{sys.executable} -m {module}"]
        began = time.perf_counter()
        ran = subprocess.run(
            [*command, "-c", f"stage={STAGE}"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        taken = time.perf_counter() - began
    if ran.returncode:
        raise SystemExit(f"cdk synth of {module} failed: {ran.stderr.strip()[-400:]}")
    return taken
