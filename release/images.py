"""Images in ECR: digests and tags, the images that a stage may run, and the scan gate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from infra.stages import Severity, Stage
from release.aws import PROJECT_ROOT, Aws
from release.errors import NotReadyError, ReleaseError, ScanError

if TYPE_CHECKING:
    from types_boto3_ecr.type_defs import ImageDetailTypeDef, ImageIdentifierTypeDef

_TAGS_SHOWN = 5


class Images:
    """The repository of a stage, whose tags are immutable."""

    def __init__(self, aws: Aws) -> None:
        self.ecr = aws.ecr
        self.repository: dict[str, Any] = {
            "registryId": aws.registry_account,
            "repositoryName": aws.stage.image_repository,
        }
        """Arguments that each call of ECR takes."""

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag; None if there is no such image."""
        image = self._describe({"imageTag": tag})
        return image["imageDigest"] if image else None

    def tags(self, digest: str) -> list[str]:
        image = self._describe({"imageDigest": digest})
        return sorted(image.get("imageTags", [])) if image else []

    def verified_in(self, stage: str, *, other_than: str = "", first: str | None = None) -> list[str]:
        """Return the tags of the latest images that a stage has run, newest first.

        `other_than` is a digest to leave out, `first` one to put first.
        """
        pages = self.ecr.get_paginator("describe_images").paginate(**self.repository, filter={"tagStatus": "TAGGED"})
        try:
            images = [image for page in pages for image in page["imageDetails"]]
        except self.ecr.exceptions.RepositoryNotFoundException:
            return []
        images = [image for image in images if image["imageDigest"] != other_than]
        images.sort(key=lambda image: (image["imageDigest"] == first, image["imagePushedAt"]), reverse=True)
        tags = [tag for image in images for tag in image.get("imageTags", []) if tag.startswith(f"{stage}-")]
        return tags[:_TAGS_SHOWN]

    def add_tag(self, digest: str, tag: str) -> None:
        """Tag a digest, unless it has the tag; raise ReleaseError if another image has it."""
        found = self.ecr.batch_get_image(**self.repository, imageIds=[{"imageDigest": digest}])
        if not found["images"]:
            raise ReleaseError(f"the registry no longer has {digest}")
        image = found["images"][0]
        try:
            self.ecr.put_image(
                **self.repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageTag=tag,
            )
        except (self.ecr.exceptions.ImageAlreadyExistsException, self.ecr.exceptions.ImageTagAlreadyExistsException):
            if (tagged := self.digest(tag)) != digest:
                raise ReleaseError(f"tag {tag} is immutable and already names {tagged}, not {digest}") from None

    def _describe(self, image: ImageIdentifierTypeDef) -> ImageDetailTypeDef | None:
        try:
            found = self.ecr.describe_images(**self.repository, imageIds=[image])
        except (self.ecr.exceptions.ImageNotFoundException, self.ecr.exceptions.RepositoryNotFoundException):
            return None
        return next(iter(found["imageDetails"]), None)


def require_releasable(stage: Stage, tag: str, images: Images) -> None:
    """Raise NotReadyError unless the tag names an image that the stage may run."""
    digest = images.digest(tag)
    before, name = stage.promotes_from, stage.name
    if not digest:
        advice = f"deploy it to {before} first, because {name} builds no images" if before else "it may have expired"
        raise NotReadyError(
            f"the registry has no image {tag}: {advice}",
            f"latest images that {before or name} has run: {', '.join(images.verified_in(before or name)) or 'none'}",
        )
    if before and not any(tag.startswith(f"{before}-") for tag in images.tags(digest)):
        raise NotReadyError(f"{name} only accepts images that {before} has run: deploy this commit to {before} first")


# ---- the scan gate ----

EXCEPTIONS = PROJECT_ROOT / ".trivyignore.yaml"
LONGEST_EXCEPTION = timedelta(days=90)
"""After that, a fixed package is available or the reason needs another review."""
SCAN_SECONDS = 300.0
"""A basic scan of an image of this size takes about half a minute."""
POLL_SECONDS = 2.0
_STATEMENT_LENGTH = 20
_SEVERITIES = [*(severity.value for severity in Severity), "INFORMATIONAL", "UNDEFINED", "UNTRIAGED"]
"""Most severe first."""


def read_exceptions(file: Path = EXCEPTIONS, *, today: date) -> dict[str, date]:
    """Return the IDs of the findings that Trivy and this gate ignore, with the days on which the exceptions expire.

    Raises NotReadyError for an entry without an ID, a statement and a date within LONGEST_EXCEPTION.
    """
    ignored: dict[str, date] = {}
    try:
        entries = list((yaml.safe_load(file.read_text()) or {}).get("vulnerabilities") or [])
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise NotReadyError(f"{file.name} must be YAML with a list `vulnerabilities`: {error}") from error
    for entry in entries:
        match entry:
            case {"id": str(name), "statement": str(statement), "expired_at": date() as expiry, **others} if (
                not others
                and len(statement) >= _STATEMENT_LENGTH
                and not isinstance(expiry, datetime)
                and expiry <= today + LONGEST_EXCEPTION
            ):
                ignored[name] = expiry
            case _:
                raise NotReadyError(
                    f"{file.name}, {entry}: expected id, statement (why the finding is harmless here) and expired_at (a"
                    f" date within {LONGEST_EXCEPTION.days} days), and nothing else"
                )
    return ignored


class Finding(NamedTuple):
    """A vulnerability that ECR found in a package of the image."""

    severity: str
    name: str
    package: str


@dataclass(frozen=True)
class Gate:
    """The findings that block a release to a stage."""

    severity: Severity
    """Findings of this severity or higher block."""
    exceptions: dict[str, date]
    """IDs of findings that don't block, and the days on which their exceptions expire."""
    today: date

    @classmethod
    def of(cls, severity: Severity) -> Gate:
        today = datetime.now(UTC).date()
        return cls(severity, read_exceptions(today=today), today)

    def check(self, digest: str, findings: list[Finding]) -> str:
        """Return a summary of the findings; raise ScanError with the blocking ones."""
        counts = Counter(found.severity for found in findings)
        summary = ", ".join(f"{counts[name]} {name.lower()}" for name in _SEVERITIES if counts[name]) or "no findings"
        severities = _SEVERITIES[: _SEVERITIES.index(self.severity.value) + 1]
        severe = [found for found in findings if found.severity in severities]
        if blocking := [found for found in severe if self.exceptions.get(found.name, self.today) <= self.today]:
            raise ScanError(
                f"the scan of {digest} found {summary}: rebuild on a fixed base image, or add an exception, with a"
                f" reason and a date, to {EXCEPTIONS.name}",
                *(f"{' '.join(found)}{self._expired(found)}" for found in blocking),
            )
        return f"{summary}{f', {len(severe)} of them ignored by {EXCEPTIONS.name}' if severe else ''}"

    def _expired(self, finding: Finding) -> str:
        expiry = self.exceptions.get(finding.name)
        return f" (its exception expired on {expiry})" if expiry else ""


def wait_for_scan(images: Images, digest: str, gate: Gate, *, seconds: float = SCAN_SECONDS) -> str:
    """Return a summary of the findings; raise ScanError if they block, or if there is no scan."""
    deadline = time.monotonic() + seconds
    while True:
        status, reason, findings = _read_scan(images, digest)
        if status in {"COMPLETE", "ACTIVE"}:  # ACTIVE: enhanced scanning, which never ends
            return gate.check(digest, findings)
        if status not in {"IN_PROGRESS", "PENDING", "ABSENT"}:
            raise ScanError(f"the scan of {digest} ended with {status}: {reason or 'ECR gives no reason'}")
        if time.monotonic() >= deadline:
            raise ScanError(
                f"no scan of {digest} after {seconds:.0f} s (status {status}): is scanning on push enabled in ECR?"
            )
        time.sleep(POLL_SECONDS)


def _read_scan(images: Images, digest: str) -> tuple[str, str, list[Finding]]:
    """Return status, reason and all findings."""
    paginator = images.ecr.get_paginator("describe_image_scan_findings")
    try:
        pages = list(paginator.paginate(**images.repository, imageId={"imageDigest": digest}))
    except images.ecr.exceptions.ScanNotFoundException:  # a scan on push starts a few seconds later
        return "ABSENT", "", []
    scan = pages[0]["imageScanStatus"]
    findings = [finding for page in pages for finding in _findings(page.get("imageScanFindings", {}))]
    return scan["status"], scan.get("description", ""), findings


def _findings(found: Any) -> Iterator[Finding]:
    """Yield the findings of a page: of basic scanning, then of enhanced scanning."""
    for each in found.get("findings", []):
        attributes = {item["key"]: item.get("value", "") for item in each.get("attributes", [])}
        package = f"{attributes.get('package_name', '')} {attributes.get('package_version', '')}"
        yield Finding(each.get("severity", "UNDEFINED"), each["name"], package)
    for each in found.get("enhancedFindings", []):
        details = each["packageVulnerabilityDetails"]
        packages = [
            f"{package['name']} {package.get('version', '')}" for package in details.get("vulnerablePackages", [])
        ]
        yield Finding(each.get("severity", "UNTRIAGED"), details["vulnerabilityId"], ", ".join(packages))
