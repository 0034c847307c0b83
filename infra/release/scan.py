"""The scan gate: no image goes out that ECR has not looked into."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from infra.release.errors import NotReleasableError

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"]

WAIT_SECONDS = 300  # a basic scan of an image of this size takes about half a minute
POLL_SECONDS = 2
BLOCKING: tuple[Severity, ...] = ("CRITICAL",)
"""HIGH is not among them: a Debian base image always has some that no release mends."""
_SEVERITIES: tuple[Severity, ...] = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")


def wait_for_scan(ecr: ECRClient, *, account: str, repository: str, digest: str, seconds: float = WAIT_SECONDS) -> str:
    """Return the findings in a few words; raise NotReleasableError if they block, or if there was no scan."""
    deadline = time.monotonic() + seconds
    while True:
        status, why, counts = _look(ecr, account=account, repository=repository, digest=digest)
        if status in {"COMPLETE", "ACTIVE"}:  # ACTIVE: enhanced scanning, which goes on for ever
            return _judge(digest, counts)
        if status not in {"IN_PROGRESS", "PENDING", "ABSENT"}:
            raise NotReleasableError(f"the scan of {digest} ended {status}: {why or 'ECR gives no reason'}")
        if time.monotonic() >= deadline:
            raise NotReleasableError(
                f"no scan of {digest} after {seconds:.0f} s (status {status}): is scanning on push enabled in ECR?"
            )
        time.sleep(POLL_SECONDS)


def _look(ecr: ECRClient, *, account: str, repository: str, digest: str) -> tuple[str, str, Mapping[Severity, int]]:
    """Return status, its description and the number of findings by severity."""
    try:
        answer = ecr.describe_image_scan_findings(
            registryId=account, repositoryName=repository, imageId={"imageDigest": digest}, maxResults=1
        )
    except ecr.exceptions.ScanNotFoundException:
        return "ABSENT", "", {}  # on push, it begins some seconds later
    scan = answer.get("imageScanStatus", {})
    counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
    return scan.get("status", "ABSENT"), scan.get("description", ""), counts


def _judge(digest: str, counts: Mapping[Severity, int]) -> str:
    found = ", ".join(f"{counts[severity]} {severity.lower()}" for severity in _SEVERITIES if counts.get(severity))
    if any(counts.get(severity) for severity in BLOCKING):
        raise NotReleasableError(
            f"the scan of {digest} found {found}: rebuild on a mended base image"
            f" (aws ecr describe-image-scan-findings names them)"
        )
    return found or "nothing found"
