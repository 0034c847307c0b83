"""How long a changed image takes into the playground: the release's own steps, in a clone with one more commit."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.machine import ROOT
from bench.report import Report

STEP = re.compile(r"^==> (?P<title>.+)$(?:\n {4}.*)*?\n {4}done in (?P<seconds>[0-9.]+) s$", re.MULTILINE)
COUNTED = ("image", "scan", "service")
"""The steps from the build to the end of the rollout; before them come checks and stacks that do not change."""

CHANGE = "\n\nCHANGED = True\n"


def measure(report: Report) -> None:
    from infra.playground.client import load_environment  # noqa: PLC0415  # of all parts, only this one needs it
    from infra.playground.state import PlaygroundError  # noqa: PLC0415  # likewise

    try:
        load_environment()
    except PlaygroundError as error:
        report.skipped(f"needs a playground, then `python -m bench deployment`: {error}", "deployment")
        return
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / "changed"
        _clone(changed)
        environ = os.environ | {"PLAYGROUND_DIR": os.environ.get("PLAYGROUND_DIR", str(ROOT / ".playground"))}
        command = [sys.executable, "-m", "infra.release", "playground"]
        ran = subprocess.run(command, cwd=changed, env=environ, capture_output=True, text=True, check=False)
    if ran.returncode:
        report.skipped(f"the release failed: {(ran.stderr or ran.stdout).strip().splitlines()[-1]}", "deployment")
        return
    steps = seconds_by_step(ran.stdout)
    counted = {title: steps[title] for title in COUNTED}
    said = ", ".join(f"{title} {seconds:.1f} s" for title, seconds in counted.items())
    report.measured("deployment", sum(counted.values()), f"{said}; the release as a whole {sum(steps.values()):.1f} s")
    report.details["deployment"] = steps


def seconds_by_step(printed: str) -> dict[str, float]:
    """Read a release's output; steps are named by the first word of their titles."""
    return {match["title"].split()[0]: float(match["seconds"]) for match in STEP.finditer(printed)}


def _clone(folder: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    entry = folder / "app/api.py"
    entry.write_text(entry.read_text() + CHANGE)
    as_someone = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    subprocess.run([*as_someone, "commit", "--quiet", "--all", "--message", "A change"], cwd=folder, check=True)
    if not shutil.which("cdk"):
        raise SystemExit("the CDK CLI is not installed: run make setup")
