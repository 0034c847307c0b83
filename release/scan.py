"""The scan gate: no image goes out that ECR has not looked into, or in which it found what the stage refuses."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.stages import Severity
from release.acceptances import FILE, Acceptances
from release.errors import NotReleasableError
from release.tools import PROJECT_ROOT

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

WAIT_SECONDS = 300  # a basic scan of an image of this size takes about half a minute
POLL_SECONDS = 2
_SEVERITIES = [*(severity.value for severity in Severity), "INFORMATIONAL", "UNDEFINED", "UNTRIAGED"]
"""The worst first."""


@dataclass(frozen=True)
class Finding:
    """A weakness that ECR knows of a package in the image."""

    name: str
    severity: str
    package: str

    @classmethod
    def basic(cls, found: Any) -> Finding:
        attributes = {item["key"]: item.get("value", "") for item in found.get("attributes", [])}
        package = f"{attributes.get('package_name', '')} {attributes.get('package_version', '')}"
        return cls(found.get("name", "?"), found.get("severity", "UNDEFINED"), package.strip())

    @classmethod
    def enhanced(cls, found: Any) -> Finding:
        details = found.get("packageVulnerabilityDetails", {})
        packages = [f"{each.get('name')} {each.get('version')}" for each in details.get("vulnerablePackages", [])]
        return cls(details.get("vulnerabilityId", "?"), found.get("severity", "UNTRIAGED"), ", ".join(packages))


@dataclass(frozen=True)
class Gate:
    """What a stage refuses."""

    least: Severity
    """The least severe finding that it refuses."""
    acceptances: Acceptances

    def judge(self, digest: str, findings: list[Finding]) -> str:
        """Return the findings in a few words; raise NotReleasableError, which names those that block."""
        counts = Counter(found.severity for found in findings)
        said = ", ".join(f"{counts[name]} {name.lower()}" for name in _SEVERITIES if counts[name]) or "nothing found"
        refused = _SEVERITIES[: _SEVERITIES.index(self.least.value) + 1]
        severe = [found for found in findings if found.severity in refused]
        blocking = [found for found in severe if not self.acceptances.cover(found.name)]
        if blocking:
            raise NotReleasableError(
                f"the scan of {digest} found {said}: rebuild on a mended base image, or accept each below by name,"
                f" with a reason and a date, in {FILE.relative_to(PROJECT_ROOT)}",
                *(
                    f"{found.severity.lower()} {found.name} {found.package}{self.acceptances.remark(found.name)}"
                    for found in blocking
                ),
            )
        return f"{said}{f', {len(severe)} of them accepted by name' if severe else ''}"


def wait_for_scan(
    ecr: ECRClient, *, account: str, repository: str, digest: str, gate: Gate, seconds: float = WAIT_SECONDS
) -> str:
    """Return the findings in a few words; raise NotReleasableError if they block, or if there was no scan."""
    deadline = time.monotonic() + seconds
    while True:
        status, why, findings = _look(ecr, account=account, repository=repository, digest=digest)
        if status in {"COMPLETE", "ACTIVE"}:  # ACTIVE: enhanced scanning, which goes on for ever
            return gate.judge(digest, findings)
        if status not in {"IN_PROGRESS", "PENDING", "ABSENT"}:
            raise NotReleasableError(f"the scan of {digest} ended {status}: {why or 'ECR gives no reason'}")
        if time.monotonic() >= deadline:
            raise NotReleasableError(
                f"no scan of {digest} after {seconds:.0f} s (status {status}): is scanning on push enabled in ECR?"
            )
        time.sleep(POLL_SECONDS)


def _look(ecr: ECRClient, *, account: str, repository: str, digest: str) -> tuple[str, str, list[Finding]]:
    """Return status, its description and all findings."""
    status, why, findings = "ABSENT", "", list[Finding]()
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(
        registryId=account, repositoryName=repository, imageId={"imageDigest": digest}
    )
    try:
        for page in pages:
            scan = page.get("imageScanStatus", {})
            status, why = scan.get("status", "ABSENT"), scan.get("description", "")
            findings += _findings(page.get("imageScanFindings", {}))
    except ecr.exceptions.ScanNotFoundException:
        return "ABSENT", "", []  # on push, it begins some seconds later
    return status, why, findings


def _findings(found: Any) -> Iterator[Finding]:
    yield from map(Finding.basic, found.get("findings", []))
    yield from map(Finding.enhanced, found.get("enhancedFindings", []))
