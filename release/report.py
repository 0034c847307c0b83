"""Writes what a change brings for a pull request: its templates and its bill beside those of another commit.

`python -m release.report BASE` needs no AWS account: both sides are synthesized here.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.cost.__main__ import MONTHS, bills, rows
from release.command import run_command
from release.errors import CommandError, NotReadyError
from release.tools import PROJECT_ROOT, run

FILE = PROJECT_ROOT / "build" / "report.md"
STAGES = ("dev", "prod")
_LONGEST = 60_000
"""GitHub: 65,536 characters in a comment."""
_QUIET = {"CDK_VALIDATION": "false", "CDK_DISABLE_CLI_TELEMETRY": "1", "CDK_DISABLE_VERSION_CHECK": "1"}
_TEMPLATE = ".template.json"
_CHATTER = ("There were no differences", "Number of stacks with differences", "Omitted ")


def report(base: str, environment: Mapping[str, str]) -> str:
    """Return the report as Markdown; raise NotReadyError for a commit that is not here."""
    with tempfile.TemporaryDirectory(prefix="comments-report-") as name:
        folder = Path(name)
        _extract(base, folder / "base", environment)
        lines = [line for stage in STAGES for line in _stage(stage, folder, environment)]
    text = "\n".join([f"What this changes, beside {base[:12]}:", "", *(lines or ["Nothing of what is deployed."])])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n```\n… and more: run `make report BASE={base[:12]}`"


def _extract(base: str, folder: Path, environment: Mapping[str, str]) -> None:
    folder.mkdir()
    archive = folder.parent / "base.tar"
    try:
        run(["git", "archive", f"--output={archive}", base], environment=environment)
    except CommandError as error:
        raise NotReadyError(
            f"no commit {base} here: name one with BASE=…, after `git fetch`", *error.details
        ) from error
    run(["tar", "-xf", str(archive)], cwd=folder, environment=environment)


def _synthesize(root: Path, stage: str, output: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the templates by stack, as that commit's app writes them."""
    settings = json.loads((root / "cdk.json").read_text())
    context = settings["context"] | {"stage": stage}
    variables = {**environment, "CDK_OUTDIR": str(output), "CDK_CONTEXT_JSON": json.dumps(context)}
    _, *app = shlex.split(settings["app"])
    run([sys.executable, *app], cwd=root, environment=variables)
    return {path.name.removesuffix(_TEMPLATE): path.read_text() for path in sorted(output.glob(f"*{_TEMPLATE}"))}


def _stage(stage: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs about each stack, those of the account once, and about the bill."""
    before = _synthesize(folder / "base", stage, folder / f"before-{stage}", environment)
    after = _synthesize(PROJECT_ROOT, stage, folder / f"after-{stage}", environment)
    for stack, template in after.items():
        if template == before.get(stack) or (stage != STAGES[0] and not stack.endswith(f"-{stage}")):
            continue
        if stack not in before:
            yield from (f"**{stack}** is new.", "")
            continue
        former = folder / f"before-{stage}" / f"{stack}{_TEMPLATE}"
        command = ["cdk", "diff", f"--app={folder / f'after-{stage}'}", stack, "--exclusively", f"--template={former}"]
        said = run([*command, "--no-color", "--no-notices"], cwd=folder, environment=environment)
        shown = [line for line in said if not any(word in line for word in _CHATTER)]
        yield from (f"**{stack}**", "", "```", *shown, "```", "")
    yield from _bill(stage, before, after)


def _bill(stage: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the bill that differ, both at this commit's prices."""
    former, present = (rows(bills([json.loads(text) for text in texts.values()])) for texts in (before, after))
    changed = [line for line in difflib.ndiff(list(former), list(present)) if line.startswith(("- ", "+ "))]
    if changed:
        months = ", ".join(f"{requests:,}" for requests in MONTHS)
        yield from (f"**The bill of {stage}**, a month of {months} requests:", "", "```diff", *changed, "```", "")


def write(base: str) -> None:
    """Print the report, and keep it in build/ for whoever posts it."""
    text = report(base, {**os.environ, **_QUIET})
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text + "\n")
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.report", description="What does a change bring?")
    parser.add_argument("base", help="the commit to compare with, such as origin/main")
    arguments = parser.parse_args()
    run_command("report", lambda: write(arguments.base))


if __name__ == "__main__":
    main()
