"""Commands for pull requests: `python -m release.preview report BASE` and `python -m release.preview reap [--days N]`.

`report` compares templates and cost with those of another commit. It needs no AWS account, because both commits are
synthesized on this machine. `reap` destroys previews that have not been deployed for some days.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cost.__main__ import MONTHS, bills, rows
from infra.stages import PREVIEW, stage_named
from release.aws import PROJECT_ROOT, TOOL_SETTINGS, Aws
from release.command import FAILED, run, run_command
from release.deploy import NO_VALIDATION
from release.destroy import destroy
from release.errors import CommandError, NotReadyError, ReleaseError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

MAX_AGE_DAYS = 3
"""A preview costs about a dollar a day; the next push to its pull request deploys it again."""
REPORT = PROJECT_ROOT / "build" / "report.md"
STAGES = ("dev", "prod")
_STACK = re.compile(r"Comments(?:Foundation|Service)-(?P<stage>pr-\d+)")
_MAX_LENGTH = 60_000
"""GitHub: comments have at most 65,536 characters."""
_TEMPLATE = ".template.json"
_NOISE = ("There were no differences", "Number of stacks with differences", "Omitted ")


def outdated(cloudformation: CloudFormationClient, *, days: int, now: datetime) -> list[str]:
    """Return the previews of which no stack was deployed in the last `days` days."""
    deployed: dict[str, datetime] = {}
    for page in cloudformation.get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            match = _STACK.fullmatch(stack["StackName"])
            if match and stack["StackStatus"] != "DELETE_COMPLETE":
                at = stack.get("LastUpdatedTime", stack["CreationTime"])
                deployed[match["stage"]] = max(at, deployed.get(match["stage"], at))
    return sorted(name for name, at in deployed.items() if at < now - timedelta(days=days))


def reap(*, days: int) -> int:
    """Destroy outdated previews, continuing after a failure, and return an exit status."""
    aws = Aws.of(PREVIEW)
    names = outdated(aws.cloudformation, days=days, now=datetime.now(UTC))
    print(f"previews not deployed for {days} days: {', '.join(names) or 'none'}")
    status = 0
    for name in names:
        try:
            destroy(stage_named(name), confirmed="")
        except ReleaseError as error:
            print(f"{name} remains: {error.summary}")
            status = FAILED
    return status


def report(base: str) -> None:
    """Print the report and write it to build/ for CI; raise NotReadyError for an unknown commit."""
    os.environ.update(TOOL_SETTINGS, **NO_VALIDATION)
    with tempfile.TemporaryDirectory(prefix="comments-report-") as name:
        folder = Path(name)
        _extract(base, folder / "base")
        lines = [line for stage in STAGES for line in _compare(stage, folder)]
    text = "\n".join([f"Changes since {base[:12]}:", "", *(lines or ["No template or cost changes."])])
    if len(text) > _MAX_LENGTH:
        text = f"{text[:_MAX_LENGTH]}\n```\n… and more: run `make report BASE={base[:12]}`"
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text + "\n")
    print(text)


def _extract(base: str, folder: Path) -> None:
    folder.mkdir()
    archive = folder.parent / "base.tar"
    try:
        run(["git", "archive", f"--output={archive}", base])
    except CommandError as error:
        raise NotReadyError(
            f"no commit {base} here: run `git fetch`, or set BASE to another commit", *error.details
        ) from error
    run(["tar", "-xf", str(archive)], cwd=folder)


def _synthesize(root: Path, stage: str, output: Path) -> dict[str, str]:
    """Synthesize the app of a commit and return its templates by stack."""
    run(["cdk", "synth", "--quiet", "--no-notices", f"--context=stage={stage}", f"--output={output}"], cwd=root)
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
    parser = argparse.ArgumentParser(
        prog="python -m release.preview", description="Report changes and destroy outdated previews."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    reporting = commands.add_parser("report", help="compare templates and cost with another commit")
    reporting.add_argument("base", help="the commit to compare with, such as origin/main")
    reaping = commands.add_parser("reap", help="destroy outdated previews")
    reaping.add_argument(
        "--days", type=int, default=MAX_AGE_DAYS, help="days since the last deployment (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.command == "report":
        run_command("report", lambda: report(arguments.base))
    run_command("reap", lambda: reap(days=arguments.days))


if __name__ == "__main__":
    main()
