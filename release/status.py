"""Inspects a stage without changing it: `python -m release.status endpoint|diff|drift|sbom|scan STAGE`.

`endpoint` prints the base URL. `diff` shows what deploying this commit with the running image would change. `drift`
shows changes made outside of CloudFormation. Both exit with 0 for no changes, 1 for changes, 2 for an error or an
unknown state. `sbom` writes the software bill of materials of the running image in CycloneDX format. `scan` applies the
stage's scan gate to the image that `make image` built.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator

from infra.stages import ACCESS_STACK, PROJECT, REGISTRY_STACK, Stage, stage_named
from release.aws import Aws
from release.build import registry_login
from release.command import PROJECT_ROOT, CommandError, ReleaseError, run, run_command
from release.deploy import NOISE, base_url, cdk, describe, image_parameter, not_deployed, running_digest
from release.explain import explain_denial
from release.scan import check_exceptions, scan

NO_CHANGES, CHANGES, UNKNOWN = 0, 1, 2
SBOM = PROJECT_ROOT / "build" / "sbom.cdx.json"
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
        for resource in _unknown(aws, name):
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
        raise ReleaseError(explain_denial("\n".join(lines)) or error.summary, *lines) from error
    return NO_CHANGES


def _unknown(aws: Aws, stack: str) -> Iterator[str]:
    """Yield the resources that CloudFormation could not compare; `cdk drift` reports them as unchanged."""
    page = aws.cloudformation.describe_stack_resource_drifts(  # the first page suffices to fail
        StackName=stack, StackResourceDriftStatusFilters=["UNKNOWN"]
    )
    for found in page["StackResourceDrifts"]:
        reason = found.get("DriftStatusReason", "no reason given")
        yield f"{found['LogicalResourceId']} ({found['ResourceType']}: {reason})"


def _unchecked(aws: Aws, stack: str) -> list[str]:
    """Return the resource types that CloudFormation doesn't compare; `cdk drift` only counts them."""
    types = Counter(
        resource["ResourceType"]
        for page in aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in page["StackResourceSummaries"]
        if resource.get("DriftInformation", {}).get("StackResourceDriftStatus", "NOT_CHECKED") in _UNCHECKED
    )
    return [name if times == 1 else f"{name} ({times})" for name, times in sorted(types.items())]


def sbom(stage: Stage) -> None:
    """Read the running image from the registry and write its bill of materials to build/."""
    aws = Aws.of(stage)
    digest = running_digest(aws)
    if not digest:
        raise not_deployed(aws)
    with registry_login(aws) as variables:
        bill_of_materials(f"registry:{aws.image_name}@{digest}", version=digest, variables=variables)


def bill_of_materials(source: str, *, version: str, variables: dict[str, str]) -> None:
    """Write the bill of materials of an image to SBOM; raise ReleaseError if syft found no system or packages.

    Otherwise, a failed scan would look like an image without dependencies.
    """
    SBOM.parent.mkdir(exist_ok=True)
    named = [f"--source-name={PROJECT}", f"--source-version={version}"]
    run(["syft", "scan", source, f"--output=cyclonedx-json={SBOM}", "--quiet", *named], variables=variables)
    components = json.loads(SBOM.read_text()).get("components", [])
    kinds = Counter(each["purl"].partition("/")[0].removeprefix("pkg:") for each in components if "purl" in each)
    print(f"packages: {', '.join(f'{times} {kind}' for kind, times in sorted(kinds.items())) or 'none'}")
    systems = [each["name"] for each in components if each["type"] == "operating-system"]
    if not systems:
        raise ReleaseError("the bill of materials lacks the operating system")
    if "pypi" not in kinds:
        raise ReleaseError("the bill of materials lacks Python packages")


def scan_local(stage: Stage) -> None:
    check_exceptions()
    print(scan("image", "--image-src=docker", PROJECT, severity=stage.blocking_severity))


COMMANDS: dict[str, Callable[[Stage], int | None]] = {
    "endpoint": endpoint,
    "diff": diff,
    "drift": drift,
    "sbom": sbom,
    "scan": scan_local,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m release.status", description="Inspect a stage without changing it."
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command(arguments.command, lambda: COMMANDS[arguments.command](stage_named(arguments.stage)), failed=UNKNOWN)


if __name__ == "__main__":
    main()
