"""Writes what the image consists of, as CycloneDX: `python -m release.sbom STAGE`.

The image is built as a release builds it; after one on the same machine, that is the very image out of Docker's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.stages import PROJECT, Stage, stage_named
from release.build import build, require_docker
from release.command import run_command
from release.errors import ReleaseError
from release.source import read_source
from release.steps import Steps
from release.tools import PROJECT_ROOT, run

FILE = PROJECT_ROOT / "build" / "sbom.cdx.json"
SYFT_FOLDER = PROJECT_ROOT / ".venv" / "bin"
_OPERATING_SYSTEM, _PYTHON = "operating-system", "pkg:pypi"


def sbom(stage: Stage, steps: Steps) -> None:
    """Build the image and write its bill of materials to build/."""
    environment = dict(os.environ)
    tag = read_source(environment=environment).tag
    reference = f"{PROJECT}:sbom"
    with steps.step(f"image {reference}"):
        require_docker(environment)
        build(reference, architecture=stage.architecture, environment=environment, note=steps.note)
    with steps.step("bill of materials"):
        text = bill_of_materials(reference, version=tag, environment=environment)
        steps.note(summary(json.loads(text)))
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text)
    steps.result(f"written to {FILE.relative_to(PROJECT_ROOT)}")


def bill_of_materials(reference: str, *, version: str, environment: Mapping[str, str]) -> str:
    """Return the packages of an image that Docker holds; raise CommandError or NotReadyError of docker and syft."""
    offline = {**environment, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    offline["PATH"] = os.pathsep.join([str(SYFT_FOLDER), environment.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory(prefix="comments-sbom-") as name:
        archive, written = Path(name) / "image.tar", Path(name) / "sbom.json"
        run(["docker", "save", f"--output={archive}", reference], environment=environment)
        source = [f"--source-name={PROJECT}", f"--source-version={version}"]
        run(
            ["syft", "scan", f"docker-archive:{archive}", f"--output=cyclonedx-json={written}", "--quiet", *source],
            environment=offline,
        )
        return written.read_text()


def summary(bill: Mapping[str, Any]) -> str:
    """Return what is in a bill in a few words; raise ReleaseError for one that misses the system or Python's packages.

    An empty bill looks like one of a very clean image.
    """
    components = bill.get("components", [])
    systems = [each["name"] for each in components if each["type"] == _OPERATING_SYSTEM]
    kinds = Counter(each["purl"].partition("/")[0] for each in components if "purl" in each)
    if not systems or not kinds[_PYTHON]:
        raise ReleaseError(
            f"the bill of materials names {systems or 'no operating system'} and {kinds[_PYTHON]} packages of Python:"
            " an image of the service has both"
        )
    counted = ", ".join(f"{kinds[kind]} {kind.removeprefix('pkg:')}" for kind in sorted(kinds))
    return f"{systems[0]}; packages: {counted}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.sbom", description="What is the image made of?")
    parser.add_argument("stage", help="dev, prod, playground or pr-N: the processor is the stage's")
    arguments = parser.parse_args()
    run_command("sbom", lambda: sbom(stage_named(arguments.stage), Steps()))


if __name__ == "__main__":
    main()
