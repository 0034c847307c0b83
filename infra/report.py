"""Compare templates and cost with those of another commit: `python -m infra.report BASE`, for pull requests.

Prints the report and writes it to build/report.md. Both commits are synthesized on this machine, without AWS account.
"""

import argparse
import difflib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.config import PROJECT, STAGES
from infra.cost.bill import MONTHS, bills, rows

ROOT = Path(__file__).resolve().parent.parent
_NAMES = [name for name, stage in STAGES.items() if not stage.is_playground]
_MAX_LENGTH = 60_000
"""GitHub: a comment has at most 65,536 characters."""
_SETTINGS = {
    "CDK_DISABLE_CLI_TELEMETRY": "1",
    "CDK_DISABLE_VERSION_CHECK": "1",
    "CDK_VALIDATION": "false",
    "FORCE_COLOR": "0",
}
_TEMPLATE = ".template.json"
_UNCHANGED = ("There were no differences", "Number of stacks with differences", "Omitted ")


def report(base: str) -> str:
    """Return the report; exits if there is no such commit."""
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-report-") as name:
        folder = Path(name)
        commit = _extract(base, folder / "base")
        shown: set[tuple[str, str | None, str]] = set()
        lines = [line for stage in _NAMES for line in _changes(stage, folder, shown)]
    text = "\n".join([f"Changes since {commit}:", "", *(lines or ["No template or cost changes."])])
    if len(text) > _MAX_LENGTH:
        text = f"{text[:_MAX_LENGTH]}\n```\n… and more: run `make report BASE={commit}`"
    return text + "\n"


def _run(command: Sequence[str], *, folder: Path, **variables: str) -> list[str]:
    """Return the lines of stdout and stderr; exits if the command fails."""
    environ = os.environ | _SETTINGS | variables
    done = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command[:2])} exited with status {done.returncode}\n{done.stdout}")
    return done.stdout.splitlines()


def _extract(base: str, folder: Path) -> str:
    """Extract the files of the base, and return its commit."""
    verify = ["git", "rev-parse", "--short=12", "--verify", f"{base}^{{commit}}"]
    found = subprocess.run(verify, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        sys.exit(f"error: no commit {base} here: run `git fetch`, or set BASE to another commit")
    commit, archive = found.stdout.strip(), folder.with_suffix(".tar")
    folder.mkdir()
    _run(["git", "archive", f"--output={archive}", commit], folder=ROOT)
    _run(["tar", "-xf", str(archive)], folder=folder)
    return commit


def _synthesize(root: Path, stage: str, output: Path) -> dict[str, str]:
    """Synthesize the app of a commit and return its templates by stack."""
    # The CDK CLI would add the account of any credentials, which may be that of another stage.
    settings = json.loads((root / "cdk.json").read_text())
    context = json.dumps(settings["context"] | {"stage": stage})
    _, *app = shlex.split(settings["app"])
    _run([sys.executable, *app], folder=root, CDK_OUTDIR=str(output), CDK_CONTEXT_JSON=context)
    return {path.name.removesuffix(_TEMPLATE): path.read_text() for path in sorted(output.glob(f"*{_TEMPLATE}"))}


def _synthesize_base(root: Path, stage: str, output: Path) -> dict[str, str]:
    """Synthesize the app of the base; return no templates for a stage that it doesn't have."""
    try:
        return _synthesize(root, stage, output)
    except SystemExit as failure:
        if f"unknown stage {stage!r}" not in str(failure):
            raise
        return {}


def _changes(stage: str, folder: Path, shown: set[tuple[str, str | None, str]]) -> Iterator[str]:
    """Yield the differences of each stack and of the bill, except for stacks that another stage has already `shown`."""
    before = _synthesize_base(folder / "base", stage, folder / f"before-{stage}")
    after = _synthesize(ROOT, stage, folder / f"after-{stage}")
    for stack, template in after.items():
        change = (stack, before.get(stack), template)
        if template == before.get(stack) or change in shown:
            continue
        shown.add(change)
        shared = stage != _NAMES[0] and not stack.endswith(f"-{stage}")
        title = f"**{stack}**" + (f" in the account of {stage}" if shared else "")
        if stack not in before:
            yield from (f"{title} is new.", "")
            continue
        former = folder / f"before-{stage}" / f"{stack}{_TEMPLATE}"
        command = ["cdk", "diff", f"--app={folder / f'after-{stage}'}", stack, "--exclusively", f"--template={former}"]
        output = _run([*command, "--no-notices"], folder=folder)
        changed = [line for line in output if not any(word in line for word in _UNCHANGED)]
        yield from (title, "", "```", *changed, "```", "")
    # Both at this commit's prices.
    former_bill, bill = (rows(bills([json.loads(text) for text in texts.values()])) for texts in (before, after))
    changed = [line for line in difflib.ndiff(list(former_bill), list(bill)) if line.startswith(("- ", "+ "))]
    if changed:
        months = ", ".join(f"{requests:,}" for requests in MONTHS)
        yield from (f"**Monthly cost of {stage}** at {months} requests:", "", "```diff", *changed, "```", "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.report", description=__doc__.splitlines()[0])
    parser.add_argument("base", help="the other commit, such as origin/main")
    text = report(parser.parse_args().base)
    file = ROOT / "build" / "report.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
