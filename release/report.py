"""Compares templates and cost with those of another commit, for pull requests: `python -m release.report BASE`.

It needs no AWS account, because both commits are synthesized on this machine.
"""

import argparse
import difflib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.cost.__main__ import MONTHS, bills, rows
from release.aws import TOOL_SETTINGS
from release.command import PROJECT_ROOT, CommandError, NotReadyError, run, run_command
from release.deploy import NO_VALIDATION

REPORT = PROJECT_ROOT / "build" / "report.md"
STAGES = ("dev", "prod")
_MAX_LENGTH = 60_000
"""GitHub: comments have at most 65,536 characters."""
_TEMPLATE = ".template.json"
_NOISE = ("There were no differences", "Number of stacks with differences", "Omitted ")


def report(base: str) -> None:
    """Print the report and write it to build/ for CI; raise NotReadyError for an unknown commit."""
    os.environ.update(TOOL_SETTINGS, **NO_VALIDATION)
    with tempfile.TemporaryDirectory(prefix="comments-report-") as name:
        folder = Path(name)
        commit = _extract(base, folder / "base")
        lines = [line for stage in STAGES for line in _compare(stage, folder)]
    text = "\n".join([f"Changes since {commit}:", "", *(lines or ["No template or cost changes."])])
    if len(text) > _MAX_LENGTH:
        text = f"{text[:_MAX_LENGTH]}\n```\n… and more: run `make report BASE={commit}`"
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text + "\n")
    print(text)


def _extract(base: str, folder: Path) -> str:
    """Extract the files of the base, and return its commit."""
    folder.mkdir()
    archive = folder.parent / "base.tar"
    try:
        *_, commit = run(["git", "rev-parse", "--short=12", "--verify", f"{base}^{{commit}}"])
        run(["git", "archive", f"--output={archive}", commit])
    except CommandError as error:
        raise NotReadyError(
            f"no commit {base} here: run `git fetch`, or set BASE to another commit", *error.details
        ) from error
    run(["tar", "-xf", str(archive)], cwd=folder)
    return commit


def _synthesize(root: Path, stage: str, output: Path) -> dict[str, str]:
    """Synthesize the app of a commit and return its templates by stack."""
    # The CDK CLI would add the account of any credentials, which may be that of another stage.
    settings = json.loads((root / "cdk.json").read_text())
    context = json.dumps(settings["context"] | {"stage": stage})
    _, *app = shlex.split(settings["app"])
    run([sys.executable, *app], cwd=root, variables={"CDK_OUTDIR": str(output), "CDK_CONTEXT_JSON": context})
    return {path.name.removesuffix(_TEMPLATE): path.read_text() for path in sorted(output.glob(f"*{_TEMPLATE}"))}


def _compare(stage: str, folder: Path) -> Iterator[str]:
    """Yield the differences of each stack and of the bill. Stacks that stages share are only compared once."""
    before = _synthesize(folder / "base", stage, folder / f"before-{stage}")
    after = _synthesize(PROJECT_ROOT, stage, folder / f"after-{stage}")
    for stack, template in after.items():
        if template == before.get(stack) or (stage != STAGES[0] and not stack.endswith(f"-{stage}")):
            continue
        if stack not in before:
            yield from (f"**{stack}** is new.", "")
            continue
        former = folder / f"before-{stage}" / f"{stack}{_TEMPLATE}"
        command = ["cdk", "diff", f"--app={folder / f'after-{stage}'}", stack, "--exclusively", f"--template={former}"]
        output = run([*command, "--no-notices"], cwd=folder)
        shown = [line for line in output if not any(word in line for word in _NOISE)]
        yield from (f"**{stack}**", "", "```", *shown, "```", "")
    # Both at this commit's prices.
    former_bill, bill = (rows(bills([json.loads(text) for text in texts.values()])) for texts in (before, after))
    changed = [line for line in difflib.ndiff(list(former_bill), list(bill)) if line.startswith(("- ", "+ "))]
    if changed:
        months = ", ".join(f"{requests:,}" for requests in MONTHS)
        yield from (f"**Monthly cost of {stage}** at {months} requests:", "", "```diff", *changed, "```", "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.report", description="Compare with another commit.")
    parser.add_argument("base", help="the commit to compare with, such as origin/main")
    arguments = parser.parse_args()
    run_command("report", lambda: report(arguments.base))


if __name__ == "__main__":
    main()
