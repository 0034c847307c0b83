"""Writes the software bill of materials of a stage's image in CycloneDX format: `python -m release.sbom STAGE`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from infra.stages import PROJECT, Stage, stage_named
from release import stacks
from release.aws import PROJECT_ROOT, Aws
from release.build import registry_credentials
from release.command import Steps, run, run_command
from release.errors import NotReadyError, ReleaseError

FILE = PROJECT_ROOT / "build" / "sbom.cdx.json"
_OPERATING_SYSTEM, _PYTHON = "operating-system", "pkg:pypi"


def sbom(stage: Stage, steps: Steps) -> None:
    """Read the deployed image from the registry and write its bill of materials to build/."""
    aws = Aws.of(stage)
    digest = stacks.outputs(aws.cloudformation, stage.service_stack).get("DeployedDigest")
    if not digest:
        raise NotReadyError(f"{stage.service_stack} is not deployed: run `make deploy ENV={stage.name}`")
    with steps.step(f"bill of materials of {digest}"):
        user, password = registry_credentials(aws.ecr, aws.registry_account)
        host = aws.image_name.partition("/")[0]
        credentials = {"AUTHORITY": host, "USERNAME": user, "PASSWORD": password}
        variables = {f"SYFT_REGISTRY_AUTH_{name}": value for name, value in credentials.items()}
        text = bill_of_materials(
            f"registry:{aws.image_name}@{digest}", version=digest, environment={**aws.environment, **variables}
        )
        steps.note(summary(json.loads(text)))
    steps.result(f"written to {FILE.relative_to(PROJECT_ROOT)}")


def bill_of_materials(source: str, *, version: str, environment: Mapping[str, str]) -> str:
    """Write the bill of materials of an image to FILE and return it; raise CommandError."""
    FILE.parent.mkdir(exist_ok=True)
    named = [f"--source-name={PROJECT}", f"--source-version={version}"]
    run(["syft", "scan", source, f"--output=cyclonedx-json={FILE}", "--quiet", *named], environment=environment)
    return FILE.read_text()


def summary(bill: Mapping[str, Any]) -> str:
    """Summarize a bill; raise ReleaseError if the operating system or Python packages are missing.

    Otherwise, a failed scan would look like an image without dependencies.
    """
    components = bill.get("components", [])
    systems = [each["name"] for each in components if each["type"] == _OPERATING_SYSTEM]
    kinds = Counter(each["purl"].partition("/")[0] for each in components if "purl" in each)
    if not systems or not kinds[_PYTHON]:
        raise ReleaseError(
            f"the bill of materials lists {systems or 'no operating system'} and {kinds[_PYTHON]} Python packages, but"
            " an image of the service has both"
        )
    counted = ", ".join(f"{kinds[kind]} {kind.removeprefix('pkg:')}" for kind in sorted(kinds))
    return f"{systems[0]}; packages: {counted}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.sbom", description="Write the SBOM of a stage's image.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command("sbom", lambda: sbom(stage_named(arguments.stage), Steps()))


if __name__ == "__main__":
    main()
