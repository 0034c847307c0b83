"""Compares and inspects without changing anything: `python -m release diff STAGE`, for example.

`endpoint` prints the base URL. `diff` shows what deploying this commit with the running image would change. `drift`
shows changes made outside of CloudFormation. Both return 0 for no changes, 1 for changes, 2 for an unknown state.

`report` compares templates and cost with those of another commit, for pull requests. It needs no AWS account, because
both commits are synthesized on this machine.
"""

import difflib
import json
import os
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from infra.cost.bill import MONTHS, bills, rows
from infra.stages import ACCESS_STACK, REGISTRY_STACK, Stage
from release.aws import TOOL_SETTINGS, Aws
from release.command import PROJECT_ROOT, CommandError, NotReadyError, ReleaseError, run
from release.deploy import NO_VALIDATION, NOISE, base_url, cdk, describe, image_parameter, not_deployed, running_digest
from release.explain import explain_denial

NO_CHANGES, CHANGES, UNKNOWN = 0, 1, 2
REPORT = PROJECT_ROOT / "build" / "report.md"
REPORTED_STAGES = ("dev", "prod")
_MAX_LENGTH = 60_000
"""GitHub: comments have at most 65,536 characters."""
_TEMPLATE = ".template.json"
_UNCHANGED = ("There were no differences", "Number of stacks with differences", "Omitted ")
_UNCHECKED = {"NOT_CHECKED", "UNSUPPORTED"}
_SUMMARIES = ("Number of stacks with differences", "Number of resources with drift")


def endpoint(stage: Stage) -> None:
    """Print the base URL, alone on stdout."""
    aws = Aws.of(stage)
    address = base_url(aws)
    if not address:
        raise not_deployed(aws)
    print(address)


def diff(stage: Stage) -> int:
    """Print the differences between this commit's templates and the deployed ones.

    Before the first deployment there is no image, so the CLI can't create a change set and only compares templates.
    """
    aws = Aws.of(stage)
    names = (*aws.registry_stacks, stage.data_stack, stage.service_stack)
    return _compare(aws, "diff", *names, *image_parameter(aws, running_digest(aws)), "--exclusively")


def drift(stage: Stage) -> int:
    """Print the drift of every deployed stack, then the resources that CloudFormation did not compare."""
    aws = Aws.of(stage)
    names = (ACCESS_STACK, REGISTRY_STACK, stage.data_stack, stage.service_stack)
    deployed = [name for name in names if describe(aws, name)]
    if not deployed:
        raise not_deployed(aws)
    status = _compare(aws, "drift", *deployed)
    for name in deployed:
        # `cdk drift` reports these resources as unchanged. One page of them suffices to fail.
        unknown = aws.cloudformation.describe_stack_resource_drifts(
            StackName=name, StackResourceDriftStatusFilters=["UNKNOWN"]
        )
        for found in unknown["StackResourceDrifts"]:
            reason = found.get("DriftStatusReason", "no reason given")
            resource = f"{found['LogicalResourceId']} ({found['ResourceType']}: {reason})"
            print(f"{name}: CloudFormation could not compare {resource}; check that these credentials may read it")
            status = status or UNKNOWN
        if unchecked := _unchecked(aws, name):
            print(f"{name}: not checked: {', '.join(unchecked)}")
    return status


def _compare(aws: Aws, command: str, *arguments: str) -> int:
    """Distinguish differences from errors: `--fail` exits with 1 for both, but only differences have a summary."""
    try:
        cdk(aws, command, *arguments, "--fail", on_line=print)
    except CommandError as error:
        if any(summary in line for line in error.details for summary in _SUMMARIES):
            return CHANGES
        lines = [line for line in error.details if not NOISE.search(line)]
        raise ReleaseError(explain_denial("\n".join(lines)) or f"cdk {command} failed", *lines) from error
    return NO_CHANGES


def _unchecked(aws: Aws, stack: str) -> list[str]:
    """Return the resource types that CloudFormation doesn't compare; `cdk drift` only counts them."""
    resources = aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    types = Counter(
        resource["ResourceType"]
        for resource in resources.search("StackResourceSummaries")
        if resource.get("DriftInformation", {}).get("StackResourceDriftStatus", "NOT_CHECKED") in _UNCHECKED
    )
    return [name if times == 1 else f"{name} ({times})" for name, times in sorted(types.items())]


def report(base: str) -> None:
    """Print the report and write it to build/ for CI; raise NotReadyError for an unknown commit."""
    os.environ.update(TOOL_SETTINGS, **NO_VALIDATION)
    with tempfile.TemporaryDirectory(prefix="comments-report-") as name:
        folder = Path(name)
        commit = _extract(base, folder / "base")
        lines = [line for stage in REPORTED_STAGES for line in _changes(stage, folder)]
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


def _changes(stage: str, folder: Path) -> Iterator[str]:
    """Yield the differences of each stack and of the bill. Stacks that stages share are only compared once."""
    before = _synthesize(folder / "base", stage, folder / f"before-{stage}")
    after = _synthesize(PROJECT_ROOT, stage, folder / f"after-{stage}")
    for stack, template in after.items():
        if template == before.get(stack) or (stage != REPORTED_STAGES[0] and not stack.endswith(f"-{stage}")):
            continue
        if stack not in before:
            yield from (f"**{stack}** is new.", "")
            continue
        former = folder / f"before-{stage}" / f"{stack}{_TEMPLATE}"
        command = ["cdk", "diff", f"--app={folder / f'after-{stage}'}", stack, "--exclusively", f"--template={former}"]
        output = run([*command, "--no-notices"], cwd=folder)
        shown = [line for line in output if not any(word in line for word in _UNCHANGED)]
        yield from (f"**{stack}**", "", "```", *shown, "```", "")
    # Both at this commit's prices.
    former_bill, bill = (rows(bills([json.loads(text) for text in texts.values()])) for texts in (before, after))
    changed = [line for line in difflib.ndiff(list(former_bill), list(bill)) if line.startswith(("- ", "+ "))]
    if changed:
        months = ", ".join(f"{requests:,}" for requests in MONTHS)
        yield from (f"**Monthly cost of {stage}** at {months} requests:", "", "```diff", *changed, "```", "")
