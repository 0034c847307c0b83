"""Scans images: Trivy's findings with the exceptions in .trivyignore.yaml, and the bill of materials by syft."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import yaml

from infra.config import PROJECT
from infra.model import Severity, Stage
from release.aws import Aws
from release.build import registry_login
from release.command import ROOT, NotReadyError, ReleaseError, run
from release.deploy import not_deployed, running_digest

EXCEPTIONS = ROOT / ".trivyignore.yaml"
LONGEST_EXCEPTION = timedelta(days=90)
"""After that, a fixed package is available or the reason needs another review."""
REPORT = ROOT / "build" / "scan.json"
SBOM = ROOT / "build" / "sbom.cdx.json"
_STATEMENT_LENGTH = 20


def check_exceptions(file: Path = EXCEPTIONS, *, today: date | None = None) -> None:
    """Raise NotReadyError for an exception without an ID, a statement and an end within LONGEST_EXCEPTION."""
    latest = (today or datetime.now(UTC).date()) + LONGEST_EXCEPTION
    try:
        entries = list((yaml.safe_load(file.read_text()) or {}).get("vulnerabilities") or [])
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise NotReadyError(f"{file.name} must be YAML with a list `vulnerabilities`: {error}") from error
    for entry in entries:
        match entry:
            case {"id": str(), "statement": str(reason), "expired_at": date() as expiry} if (
                len(reason) >= _STATEMENT_LENGTH and not isinstance(expiry, datetime) and expiry <= latest
            ):
                pass
            case _:
                raise NotReadyError(
                    f"{file.name}, {entry}: expected id, statement (why the finding is harmless here) and expired_at (a"
                    f" date within {LONGEST_EXCEPTION.days} days)"
                )


def scan(
    *target: str, severity: Severity, exceptions: Path = EXCEPTIONS, variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Scan a target of Trivy, such as ("image", NAME), and return how many findings it has; REPORT lists them.

    Raises ReleaseError for findings of this severity or higher, and CommandError if Trivy fails. Trivy leaves out
    findings with exceptions that have not expired.
    """
    REPORT.parent.mkdir(exist_ok=True)
    options = ["--scanners=vuln", f"--ignorefile={exceptions}", "--format=json", f"--output={REPORT}", "--quiet"]
    run(["trivy", *target, *options], variables=variables)
    report = json.loads(REPORT.read_text())
    if report["Metadata"].get("OS", {}).get("Family", "none") == "none":
        raise ReleaseError(f"Trivy does not recognize the operating system of {target[-1]}")
    found = [each for result in report.get("Results", []) for each in result.get("Vulnerabilities", [])]
    counts = Counter(each["Severity"] for each in found)
    levels = [*(level.value for level in Severity), "UNKNOWN"]
    summary = ", ".join(f"{counts[level]} {level.lower()}" for level in levels if counts[level]) or "no findings"
    blocking = levels[: levels.index(severity.value) + 1]
    if blocked := [each for each in found if each["Severity"] in blocking]:
        raise ReleaseError(
            f"the scan of {target[-1]} found {summary}: update the base image or the package, or add an"
            f" exception, with a reason and a date, to {exceptions.name}",
            *(
                f"{each['Severity']} {each['VulnerabilityID']} {each['PkgName']} {each['InstalledVersion']}, fixed in"
                f" {each.get('FixedVersion') or 'no version yet'}"
                for each in blocked
            ),
        )
    return summary


def sbom(stage: Stage) -> None:
    """Read the running image from the registry and write its bill of materials in CycloneDX format to build/."""
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
    """Apply the scan gate of a stage to the image that `make image` built."""
    check_exceptions()
    print(scan("image", "--image-src=docker", PROJECT, severity=stage.blocking_severity))
