"""Runs cdk-nag and cfn-lint over the templates of every stage: `python -m infra.checks`.

`--write` writes the acknowledged findings to docs/acknowledgements.md instead.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import aws_cdk as cdk
import cdk_nag

from infra.app import add_stacks
from infra.findings import ACKNOWLEDGED
from infra.stages import STAGES, Architecture, Domain, Egress, Entrance, Repository, Stage, Target, stage_named

ROOT = Path(__file__).resolve().parent.parent
ACKNOWLEDGEMENTS = ROOT / "docs" / "acknowledgements.md"
_DOMAIN = Domain(name="comments.example.com", hosted_zone_id="Z0123456789EXAMPLE", zone_name="example.com")
_EMAIL = "ops@example.com"
_REPOSITORY = Repository(name="example/comments", owner_id=1001, repository_id=2002)
CHECKED: dict[str, Stage] = {
    name: replace(stage, github=_REPOSITORY)
    for name, stage in {
        **STAGES,
        "preview": stage_named("pr-1"),
        # Options that no stage uses at present.
        "prod with TLS and endpoints": replace(
            STAGES["prod"], domain=_DOMAIN, egress=Egress.ENDPOINTS, alarm_email=_EMAIL
        ),
        "prod behind CloudFront": replace(STAGES["prod"], entrance=Entrance.CLOUDFRONT),
        "prod behind CloudFront with endpoints": replace(
            STAGES["prod"], entrance=Entrance.CLOUDFRONT, egress=Egress.ENDPOINTS
        ),
        "dev with NAT, ARM and Spot": replace(
            STAGES["dev"],
            egress=Egress.NAT,
            architecture=Architecture.ARM64,
            spot_share=100,
            alarm_email=_EMAIL,
            container_insights=True,
        ),
    }.items()
}
_LINT_IGNORES = {
    "W3005": "CDK adds a dependency on the listener next to the target group that already implies it",
}
_HEAD = """# Acknowledged findings

Written by `python -m infra.checks --write`; do not edit. `make check` runs cdk-nag's AwsSolutions pack and cfn-lint
over the templates of every stage and of options that no stage uses at present. It fails on every finding that is not in
this table. The reasons are next to the code that they are about.

| rule | where | reason |
|---|---|---|
"""


class CheckError(Exception):
    """A check could not run."""


@dataclass(frozen=True)
class Outcome:
    """What a tool checked and found."""

    checked: str
    findings: list[str]


class Acknowledged(NamedTuple):
    """One acknowledged finding."""

    rule: str
    where: str
    reason: str


def synthesize(stage: Stage, folder: Path) -> list[str]:
    """Write the templates of a stage, and return the findings of cdk-nag and of CDK's own validation."""
    app = cdk.App(outdir=str(folder), context=json.loads((ROOT / "cdk.json").read_text())["context"])
    add_stacks(app, stage, Target(stage.account, stage.region))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))  # only here: it takes half a second
    try:
        app.synth()
    except RuntimeError as error:  # jsii's only exception; the report has the details
        if "ValidationFailed" not in str(error):
            raise
    return list(_violations(folder / "validation-report.json"))


def _violations(report: Path) -> Iterator[str]:
    for plugin in json.loads(report.read_text())["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield f"{violation['ruleName']} {construct['constructPath']}: {violation['description']}"


def check_constructs(folder: Path) -> Outcome:
    """Synthesize every stage into the folder and return cdk-nag's findings."""
    findings = [
        f"{name}: {found}"
        for index, (name, stage) in enumerate(CHECKED.items())
        for found in synthesize(stage, folder / str(index))
    ]
    return Outcome(f"{len(CHECKED)} stages: {', '.join(CHECKED)}", findings)


def distinct_templates(folder: Path) -> list[Path]:
    """Return one file for each different template; stages share the templates of their account."""
    by_text = {path.read_text(): path for path in sorted(folder.glob("*/*.template.json"), reverse=True)}
    return sorted(by_text.values())


def lint(templates: list[Path]) -> Outcome:
    """Return cfn-lint's findings in the templates; raise CheckError if it can't run."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", "--regions", "us-east-1"]
    command += ["--ignore-checks", *_LINT_IGNORES, "-t", *map(str, templates)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode and not ran.stdout.strip():
        raise CheckError(f"cfn-lint failed: {ran.stderr.strip()}")
    findings = [
        f"{match['Rule']['Id']} {Path(match['Filename']).name} {'/'.join(map(str, match['Location']['Path'] or []))}:"
        f" {match['Message']}"
        for match in json.loads(ran.stdout or "[]")
    ]
    return Outcome(f"{len(templates)} templates", findings)


def acknowledged(stage: Stage) -> Iterator[Acknowledged]:
    """Yield the acknowledged findings of a stage, without the parts that name resources of one template."""
    app = cdk.App()
    add_stacks(app, stage, Target(stage.account, stage.region))
    for construct in app.node.find_all():
        for entry in construct.node.metadata:
            if entry.type == ACKNOWLEDGED:
                where = re.sub(r"^Comments([A-Za-z]+)(-[^/]+)?", r"\1", construct.node.path)
                for rule, reason in entry.data.items():
                    yield Acknowledged(rule.split("[", 1)[0], where, reason)


def acknowledgements() -> str:
    """Return the text of docs/acknowledgements.md."""
    found = {each for stage in CHECKED.values() for each in acknowledged(stage)}
    return _HEAD + "".join(f"| {each.rule} | {each.where} | {each.reason} |\n" for each in sorted(found))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.checks", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {ACKNOWLEDGEMENTS.relative_to(ROOT)} instead")
    if parser.parse_args().write:
        ACKNOWLEDGEMENTS.write_text(acknowledgements())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            outcomes = {"cdk-nag": check_constructs(folder), "cfn-lint": lint(distinct_templates(folder))}
        except CheckError as error:
            sys.exit(f"error: {error}")
    for tool, outcome in outcomes.items():
        print(f"{tool}: {outcome.checked}: {len(outcome.findings) or 'no'} finding{'s' * (len(outcome.findings) != 1)}")
        for found in outcome.findings:
            print(f"  {found}")
    sys.exit(any(outcome.findings for outcome in outcomes.values()))


if __name__ == "__main__":
    main()
