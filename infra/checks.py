"""Holds the templates of every stage against cdk-nag, cfn-lint and checkov: `python -m infra.checks`."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aws_cdk as cdk
import cdk_nag

from infra.context import Context
from infra.main import compose
from infra.options import Architecture, Domain, Egress, Rollout
from infra.stages import STAGES, Stage, stage_named
from infra.target import Target

ROOT = Path(__file__).resolve().parent.parent
_DOMAIN = Domain(name="comments.example.com", hosted_zone_id="Z0123456789EXAMPLE", zone_name="example.com")
CHECKED: dict[str, Stage] = {
    **STAGES,
    "a preview": stage_named("pr-1"),
    # What no stage uses today, but one edit of a field away.
    "prod with TLS and endpoints": replace(STAGES["prod"], domain=_DOMAIN, egress=Egress.ENDPOINTS),
    "prod with TLS and canary": replace(STAGES["prod"], domain=_DOMAIN, rollout=Rollout.CANARY),
    "dev with NAT, ARM and Spot": replace(
        STAGES["dev"], egress=Egress.NAT, architecture=Architecture.ARM64, spot_share=100, alarm_email="ops@example.com"
    ),
}
_LINT_IGNORES = {
    "W3005": "CDK names the listener as a dependency beside the target group that already implies it",
}


class CheckError(Exception):
    """A check could not run."""


@dataclass(frozen=True)
class Outcome:
    """What one tool looked at, and what it found."""

    checked: str
    findings: list[str]


def synthesize(stage: Stage, folder: Path) -> list[str]:
    """Write the templates of a stage, and return what cdk-nag and CDK's own validation find in them."""
    app = cdk.App(outdir=str(folder), context=json.loads((ROOT / "cdk.json").read_text())["context"])
    compose(app, Context(stage=stage, github="example/comments"), Target(account=None, region=None))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))  # here alone: half a second of each synthesis
    return found_in(app, folder)


def found_in(app: cdk.App, folder: Path) -> list[str]:
    """Synthesize an app into the folder that it was made with, and return what its validations find."""
    try:
        app.synth()
    except RuntimeError as error:  # jsii's only exception; the report says more
        if "ValidationFailed" not in str(error):
            raise
    return list(_violations(folder / "validation-report.json"))


def _violations(report: Path) -> Iterator[str]:
    for plugin in json.loads(report.read_text())["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield f"{violation['ruleName']} {construct['constructPath']}: {violation['description']}"


def nag(folder: Path) -> Outcome:
    """Synthesize everything below the folder, which also runs cdk-nag."""
    findings = [
        f"{name}: {found}"
        for index, (name, stage) in enumerate(CHECKED.items())
        for found in synthesize(stage, folder / str(index))
    ]
    return Outcome(f"{len(CHECKED)} stages: {', '.join(CHECKED)}", findings)


def distinct_templates(folder: Path) -> list[Path]:
    """Return one file for each different template; the account's stacks are the same in every stage."""
    by_text = {path.read_text(): path for path in sorted(folder.glob("*/*.template.json"), reverse=True)}
    return sorted(by_text.values())


def lint(output: str, templates: list[Path]) -> Outcome:
    findings = [
        f"{match['Rule']['Id']} {Path(match['Filename']).name} {'/'.join(map(str, match['Location']['Path'] or []))}:"
        f" {match['Message']}"
        for match in json.loads(output or "[]")
    ]
    return Outcome(f"{len(templates)} templates", findings)


def policies(output: str) -> Outcome:
    results = json.loads(output)
    summary = results["summary"]
    if summary["parsing_errors"] or not summary["passed"]:
        raise CheckError(f"checkov read nothing of use: {summary}")
    findings = [
        f"{found['check_id']} {Path(found['file_path']).name} {found['resource']}: {found['check_name']}"
        for found in results["results"]["failed_checks"]
    ]
    return Outcome(f"{summary['passed']} checks passed, {summary['skipped']} acknowledged", findings)


def start(tool: str, *arguments: str, tools: str | None) -> "subprocess.Popen[str]":
    found = shutil.which(tool, path=tools)
    if not found:
        raise CheckError(f"{tool} is not on the PATH: run `make check`, which installs it, or say --tools FOLDER")
    return subprocess.Popen([found, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> str:
    output, errors = process.communicate()
    if not output.strip() and process.returncode:
        raise CheckError(f"{process.args!r} failed: {errors.strip()}")
    return output


def check_all(tools: str | None) -> dict[str, Outcome]:
    """Run the three; the two that only read run side by side."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = {"cdk-nag": nag(folder)}
        templates = distinct_templates(folder)
        files = [str(path) for path in templates]
        lints = start(
            "cfn-lint", "--format", "json", "--regions", "us-east-1", "--ignore-checks", *_LINT_IGNORES, "-t", *files,
            tools=tools,
        )  # fmt: skip
        checks = start(
            "checkov", "--framework", "cloudformation", "--skip-download", "--compact", "--quiet", "-o", "json",
            "-f", *files, tools=tools,
        )  # fmt: skip
        outcomes["cfn-lint"] = lint(finish(lints), templates)
        outcomes["checkov"] = policies(finish(checks))
        return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.checks", description=__doc__)
    parser.add_argument("--tools", help="the folder of cfn-lint and checkov (default: the PATH)")
    try:
        outcomes = check_all(parser.parse_args().tools)
    except CheckError as error:
        sys.exit(f"error: {error}")
    for tool, outcome in outcomes.items():
        print(f"{tool}: {outcome.checked}: {len(outcome.findings) or 'no'} finding{'s' * (len(outcome.findings) != 1)}")
        for found in outcome.findings:
            print(f"  {found}")
    sys.exit(any(outcome.findings for outcome in outcomes.values()))


if __name__ == "__main__":
    main()
