"""Reports what Control Tower's guard rules say about a stage's templates: `python -m infra.guard STAGE`.

A report and no gate: some of the rules ask for what this service decides against, as the acknowledged findings say.
"""

import argparse
import os
import sys
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import aws_cdk as cdk

from infra.checks import ROOT, found_in
from infra.context import Context
from infra.errors import ConfigurationError
from infra.main import compose
from infra.stages import Stage, stage_named
from infra.target import Target

RULES = ROOT / "node_modules" / "@cdklabs" / "cdk-validator-cfnguard" / "rules" / "control-tower" / "cfn-guard"
"""AWS's own text of the rules, in an npm package."""


class NoRulesError(ConfigurationError):
    """The rules are not installed."""


def rules(folder: Path) -> list[cdk.ValidationRuleSource]:
    """Return every rule below the folder; raise NoRulesError if there is none."""
    found = [
        cdk.ValidationRuleSource(name=path.stem, content=path.read_text()) for path in sorted(folder.rglob("*.guard"))
    ]
    if not found:
        raise NoRulesError(f"no guard rules in {folder}: run `make setup`")
    return found


def findings(stage: Stage, guard_rules: list[cdk.ValidationRuleSource]) -> list[tuple[str, str]]:
    """Return each rule with each resource that it asks something else of, however many of its clauses do."""
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(StringIO()):  # CDK shows every clause itself
        app = cdk.App(outdir=folder)
        compose(app, Context(stage=stage, github="example/comments"), Target(account=None, region=None))
        plugin = cdk.CloudFormationValidatePlugin(guard_rules=guard_rules, include_default_rules=False)
        cdk.Validations.of(app).add_plugins(plugin)
        found = (each.split(": ", 1)[0].split(" ", 1) for each in found_in(app, Path(folder)))
        return sorted({(rule, resource.removesuffix("/Resource")) for rule, resource in found})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.guard", description="What does Control Tower ask for?")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    name = parser.parse_args().stage
    os.environ.setdefault("CDK_VALIDATION", "false")  # CDK's own checks are `make check`'s business
    try:
        guard_rules = rules(RULES)
        found = findings(stage_named(name), guard_rules)
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    print(f"{name}: {len(guard_rules)} rules of Control Tower, {len(found)} findings")
    for rule, resource in found:
        print(f"  {rule}: {resource}")


if __name__ == "__main__":
    main()
