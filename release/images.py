"""Images in ECR: digests and tags, the images that a stage may run, and the scan gate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from infra.stages import Severity
from release.aws import PROJECT_ROOT, Aws
from release.errors import NotReadyError, NotReleasableError

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import ImageIdentifierTypeDef

PROVEN_IN = {"prod": "dev"}
"""Maps a stage that builds no images to the stage that must have run an image first."""
_TAGS_SHOWN = 5


class Images:
    """A repository with immutable tags."""

    def __init__(self, ecr: ECRClient, *, account: str, repository: str) -> None:
        self._ecr = ecr
        self._account = account
        self.repository = repository

    @classmethod
    def of(cls, aws: Aws) -> Images:
        """Return the repository of the stage."""
        return cls(aws.ecr, account=aws.registry_account, repository=aws.stage.image_repository)

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag; None if there is no such image."""
        details = self._describe({"imageTag": tag})
        return details[0] if details else None

    def tags(self, digest: str) -> list[str]:
        details = self._describe({"imageDigest": digest})
        return sorted(details[1]) if details else []

    def proven_in(self, stage: str) -> list[str]:
        """Return the proven tags of a stage, those of its latest images, newest first."""
        pages = self._ecr.get_paginator("describe_images").paginate(
            registryId=self._account, repositoryName=self.repository, filter={"tagStatus": "TAGGED"}
        )
        try:
            images = [image for page in pages for image in page["imageDetails"]]
        except self._ecr.exceptions.RepositoryNotFoundException:
            return []
        newest = sorted(images, key=lambda image: image["imagePushedAt"], reverse=True)
        tags = [tag for image in newest for tag in image.get("imageTags", []) if tag.startswith(f"{stage}-")]
        return tags[:_TAGS_SHOWN]

    def add_tag(self, digest: str, tag: str) -> bool:
        """Tag a digest; return False if it already has the tag. Raise NotReleasableError if another image has it."""
        if self.digest(tag):
            return self._is_tagged(digest, tag)
        found = self._ecr.batch_get_image(
            registryId=self._account, repositoryName=self.repository, imageIds=[{"imageDigest": digest}]
        )
        if not found["images"]:
            raise NotReleasableError(f"the registry no longer has {digest}")
        image = found["images"][0]
        try:
            self._ecr.put_image(
                registryId=self._account,
                repositoryName=self.repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageTag=tag,
            )
        except (self._ecr.exceptions.ImageAlreadyExistsException, self._ecr.exceptions.ImageTagAlreadyExistsException):
            return self._is_tagged(digest, tag)
        return True

    def _is_tagged(self, digest: str, tag: str) -> bool:
        """Return False if the digest has the tag; raise NotReleasableError if another one does."""
        tagged = self.digest(tag)
        if tagged != digest:
            raise NotReleasableError(f"tag {tag} is immutable and already names {tagged}, not {digest}")
        return False

    def _describe(self, image: ImageIdentifierTypeDef) -> tuple[str, list[str]] | None:
        try:
            found = self._ecr.describe_images(
                registryId=self._account, repositoryName=self.repository, imageIds=[image]
            )
        except (self._ecr.exceptions.ImageNotFoundException, self._ecr.exceptions.RepositoryNotFoundException):
            return None
        return next(((each["imageDigest"], each.get("imageTags", [])) for each in found["imageDetails"]), None)


def require_releasable(stage: str, tag: str, images: Images) -> None:
    """Raise NotReleasableError unless the tag names an image that the stage may run."""
    digest = images.digest(tag)
    before = PROVEN_IN.get(stage)
    if not digest:
        advice = f"release it to {before} first, because {stage} builds no images" if before else "it may have expired"
        raise NotReleasableError(
            f"the registry has no image {tag}: {advice}",
            f"latest images that {before or stage} has run: {', '.join(images.proven_in(before or stage)) or 'none'}",
        )
    tags = images.tags(digest)
    if before and not any(name.startswith(f"{before}-") for name in tags):
        raise NotReleasableError(
            f"{stage} only takes images that {before} has run: release this commit to {before} first",
            f"{digest} has the tags: {', '.join(tags)}",
        )


# ---- the scan gate ----

EXCEPTIONS = PROJECT_ROOT / ".trivyignore.yaml"
LONGEST_EXCEPTION = timedelta(days=90)
"""After that, a fixed package is available or the reason needs another review."""
SCAN_SECONDS = 300.0
"""A basic scan of an image of this size takes about half a minute."""
POLL_SECONDS = 2.0
_FIELDS = {"id": str, "statement": str, "expired_at": date}
_STATEMENT_LENGTH = 20
_SEVERITIES = [*(severity.value for severity in Severity), "INFORMATIONAL", "UNDEFINED", "UNTRIAGED"]
"""Most severe first."""


def read_exceptions(file: Path = EXCEPTIONS, *, today: date) -> dict[str, date]:
    """Return the findings that Trivy and this gate ignore, each until its date.

    Raises NotReadyError for an entry without an ID, a statement and a date within LONGEST_EXCEPTION.
    """
    try:
        entries = (yaml.safe_load(file.read_text()) or {}).get("vulnerabilities") or []
    except yaml.YAMLError as error:
        raise NotReadyError(f"{file.name} is not YAML: {error}") from error
    for entry in entries:
        invalid = [name for name, kind in _FIELDS.items() if not isinstance(entry.get(name), kind)]
        invalid += sorted(entry.keys() - _FIELDS.keys())
        if invalid:
            raise NotReadyError(f"{file.name}, {entry}: {invalid[0]} is wrong; expected id, statement, expired_at")
        if len(entry["statement"]) < _STATEMENT_LENGTH:
            raise NotReadyError(
                f"{file.name}, {entry['id']}: the statement must explain why the finding is harmless here"
            )
        if entry["expired_at"] > today + LONGEST_EXCEPTION:
            raise NotReadyError(
                f"{file.name}, {entry['id']}: expired_at is more than {LONGEST_EXCEPTION.days} days away"
            )
    return {entry["id"]: entry["expired_at"] for entry in entries}


@dataclass(frozen=True)
class Finding:
    """A vulnerability that ECR found in a package of the image."""

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
    """The findings that block a release to a stage."""

    severity: Severity
    """Findings of this severity or higher block."""
    exceptions: Mapping[str, date]
    today: date

    @classmethod
    def of(cls, severity: Severity) -> Gate:
        today = datetime.now(UTC).date()
        return cls(severity, read_exceptions(today=today), today)

    def check(self, digest: str, findings: list[Finding]) -> str:
        """Return a summary of the findings; raise NotReleasableError with the blocking ones."""
        counts = Counter(found.severity for found in findings)
        summary = ", ".join(f"{counts[name]} {name.lower()}" for name in _SEVERITIES if counts[name]) or "no findings"
        severities = _SEVERITIES[: _SEVERITIES.index(self.severity.value) + 1]
        severe = [found for found in findings if found.severity in severities]
        blocking = [found for found in severe if not self._is_excepted(found.name)]
        if blocking:
            raise NotReleasableError(
                f"the scan of {digest} found {summary}: rebuild on a fixed base image, or add an exception, with a"
                f" reason and a date, to {EXCEPTIONS.name}",
                *(self._describe(found) for found in blocking),
            )
        return f"{summary}{f', {len(severe)} of them excepted' if severe else ''}"

    def _is_excepted(self, name: str) -> bool:
        return name in self.exceptions and self.today < self.exceptions[name]

    def _describe(self, found: Finding) -> str:
        expired = f" (its exception expired on {self.exceptions[found.name]})" if found.name in self.exceptions else ""
        return f"{found.severity.lower()} {found.name} {found.package}{expired}"


def wait_for_scan(
    ecr: ECRClient, *, account: str, repository: str, digest: str, gate: Gate, seconds: float = SCAN_SECONDS
) -> str:
    """Return a summary of the findings; raise NotReleasableError if they block, or if there is no scan."""
    deadline = time.monotonic() + seconds
    while True:
        status, reason, findings = _read_scan(ecr, account=account, repository=repository, digest=digest)
        if status in {"COMPLETE", "ACTIVE"}:  # ACTIVE: enhanced scanning, which never ends
            return gate.check(digest, findings)
        if status not in {"IN_PROGRESS", "PENDING", "ABSENT"}:
            raise NotReleasableError(f"the scan of {digest} ended with {status}: {reason or 'ECR gives no reason'}")
        if time.monotonic() >= deadline:
            raise NotReleasableError(
                f"no scan of {digest} after {seconds:.0f} s (status {status}): is scanning on push enabled in ECR?"
            )
        time.sleep(POLL_SECONDS)


def _read_scan(ecr: ECRClient, *, account: str, repository: str, digest: str) -> tuple[str, str, list[Finding]]:
    """Return status, reason and all findings."""
    status, reason, findings = "ABSENT", "", list[Finding]()
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(
        registryId=account, repositoryName=repository, imageId={"imageDigest": digest}
    )
    try:
        for page in pages:
            scan = page.get("imageScanStatus", {})
            status, reason = scan.get("status", "ABSENT"), scan.get("description", "")
            findings += _findings(page.get("imageScanFindings", {}))
    except ecr.exceptions.ScanNotFoundException:
        return "ABSENT", "", []  # a scan on push starts a few seconds later
    return status, reason, findings


def _findings(found: Any) -> Iterator[Finding]:
    yield from map(Finding.basic, found.get("findings", []))
    yield from map(Finding.enhanced, found.get("enhancedFindings", []))
