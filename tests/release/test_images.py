"""Tags and digests in a registry like AWS's, which image a stage may run, and the scan gate."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.stages import REGISTRY_STACK, STAGES, Severity
from release import images as module
from release.aws import Aws
from release.errors import NotReadyError, NotReleasableError
from release.images import EXCEPTIONS, Gate, Images, read_exceptions, require_releasable, wait_for_scan
from release.preflight import Plan
from tests.release.conftest import ACCOUNT

COMMIT = "0123456789ab"
DIGEST = "sha256:" + "1" * 64
TODAY = date(2026, 3, 1)
GATE = Gate(Severity.CRITICAL, {}, TODAY)


@pytest.fixture
def images(aws: Aws) -> Iterator[Images]:
    repository = f"images-{uuid.uuid4().hex[:8]}"
    aws.ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    yield Images(aws.ecr, account=ACCOUNT, repository=repository)
    aws.ecr.delete_repository(repositoryName=repository, force=True)


def store(aws: Aws, images: Images, tag: str) -> str:
    """Put an image without layers into the registry, and return its digest."""
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": {"digest": tag}, "layers": []})
    stored = aws.ecr.put_image(
        repositoryName=images.repository, imageManifest=manifest, imageManifestMediaType=media_type, imageTag=tag
    )
    return stored["image"]["imageId"]["imageDigest"]


def test_a_tag_that_was_never_pushed_names_nothing(images: Images) -> None:
    assert images.digest(COMMIT) is None


def test_a_digest_is_tagged_once(aws: Aws, images: Images) -> None:
    digest = store(aws, images, COMMIT)
    assert images.add_tag(digest, f"dev-{COMMIT}")
    assert not images.add_tag(digest, f"dev-{COMMIT}")
    assert images.digest(f"dev-{COMMIT}") == digest
    assert images.tags(digest) == [COMMIT, f"dev-{COMMIT}"]


@pytest.mark.parametrize("unseen", [False, True], ids=["before", "at the same time"])
def test_a_tag_that_another_image_got_is_never_moved(
    aws: Aws, images: Images, monkeypatch: pytest.MonkeyPatch, unseen: bool
) -> None:
    first, second = store(aws, images, "aaaaaaaaaaaa"), store(aws, images, "bbbbbbbbbbbb")
    images.add_tag(first, "dev-aaaaaaaaaaaa")
    if unseen:
        unseen_at_first(images, monkeypatch)
    with pytest.raises(NotReleasableError, match=f"already names {first}"):
        images.add_tag(second, "dev-aaaaaaaaaaaa")


def test_a_tag_that_another_release_has_just_set_is_accepted(
    aws: Aws, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store(aws, images, COMMIT)
    images.add_tag(digest, f"dev-{COMMIT}")
    unseen_at_first(images, monkeypatch)
    assert not images.add_tag(digest, f"dev-{COMMIT}")


def unseen_at_first(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look at a tag be before another release has set it."""
    look, looks = images.digest, list[str]()

    def digest(tag: str) -> str | None:
        looks.append(tag)
        return look(tag) if len(looks) > 1 else None

    monkeypatch.setattr(images, "digest", digest)


def test_an_expired_image_cannot_be_tagged(images: Images) -> None:
    with pytest.raises(NotReleasableError, match="no longer has"):
        images.add_tag("sha256:" + "0" * 64, f"dev-{COMMIT}")


def test_prod_takes_what_dev_has_run_and_nothing_else(aws: Aws, images: Images) -> None:
    with pytest.raises(NotReleasableError, match=f"no image {COMMIT}: release it to dev first"):
        require_releasable("prod", COMMIT, images)
    digest = store(aws, images, COMMIT)
    images.add_tag(digest, f"pr-7-{COMMIT}")
    with pytest.raises(NotReleasableError, match="release this commit to dev first"):
        require_releasable("prod", COMMIT, images)
    images.add_tag(digest, f"dev-{COMMIT}")
    require_releasable("prod", COMMIT, images)


def test_a_tag_that_has_expired_lists_those_that_exist(aws: Aws, images: Images) -> None:
    images.add_tag(store(aws, images, "aaaaaaaaaaaa"), "dev-aaaaaaaaaaaa")
    with pytest.raises(NotReleasableError, match=f"no image dev-{COMMIT}") as refused:
        require_releasable("dev", f"dev-{COMMIT}", images)
    assert "dev-aaaaaaaaaaaa" in refused.value.details[0]


def test_an_account_without_a_registry_has_no_image(aws: Aws) -> None:
    with pytest.raises(NotReleasableError, match="no image"):
        require_releasable("dev", COMMIT, Images(aws.ecr, account=ACCOUNT, repository="no-such-repository"))


def test_a_rollback_is_marked_by_the_commit_of_its_image(aws: Aws) -> None:
    plan = Plan(aws=replace(aws, stage=STAGES["prod"]), tag=f"dev-{COMMIT}", builds=False, gate=GATE)
    assert plan.proven_tag == f"prod-{COMMIT}"


def test_a_stage_that_pulls_from_another_account_does_not_deploy_the_registry(aws: Aws) -> None:
    elsewhere = replace(aws, stage=replace(STAGES["prod"], registry_account="123456789012"))
    assert REGISTRY_STACK not in Plan(aws=elsewhere, tag=COMMIT, builds=False, gate=GATE).foundation
    assert REGISTRY_STACK in Plan(aws=aws, tag=COMMIT, builds=True, gate=GATE).foundation


# ---- the scan gate, with responses of ECR that the engine on this machine doesn't give ----


def judged(
    monkeypatch: pytest.MonkeyPatch, *responses: dict[str, Any] | None, seconds: float = 60, gate: Gate = GATE
) -> str:
    """Wait for a scan with these responses in turn; None for a scan that has not started."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0)
    ecr = boto3.client("ecr", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(ecr) as stubber:
        for response in responses:
            if response is None:
                stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
            else:
                stubber.add_response("describe_image_scan_findings", response)
        found = wait_for_scan(ecr, account=ACCOUNT, repository="comments", digest=DIGEST, seconds=seconds, gate=gate)
        stubber.assert_no_pending_responses()
    return found


def scan(status: str, *, reason: str = "", more: str = "", **names: str) -> dict[str, Any]:
    """A page of findings, given as CVE_2026_1="HIGH"; `more` announces another page."""
    findings = [
        {
            "name": name.replace("_", "-"),
            "severity": severity,
            "attributes": [{"key": "package_name", "value": "zlib"}, {"key": "package_version", "value": "1.3"}],
        }
        for name, severity in names.items()
    ]
    return {
        "imageScanStatus": {"status": status, "description": reason},
        "imageScanFindings": {"findings": findings},
        **({"nextToken": more} if more else {}),
    }


def test_a_scan_is_waited_for_and_every_page_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = scan("COMPLETE", more="2", CVE_1="LOW", CVE_2="HIGH"), scan("COMPLETE", CVE_3="HIGH", CVE_4="LOW")
    assert judged(monkeypatch, None, scan("IN_PROGRESS"), *pages) == "2 high, 2 low"


def test_a_critical_finding_blocks_the_release_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReleasableError, match="1 critical, 1 low") as refused:
        judged(monkeypatch, scan("COMPLETE", CVE_1="CRITICAL", CVE_2="LOW"))
    assert refused.value.details == ("critical CVE-1 zlib 1.3",)


def test_a_stage_may_block_what_another_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scan("COMPLETE", CVE_1="HIGH")
    judged(monkeypatch, found, gate=replace(GATE, severity=STAGES["dev"].blocking_severity))
    with pytest.raises(NotReleasableError):
        judged(monkeypatch, found, gate=replace(GATE, severity=STAGES["prod"].blocking_severity))


def test_an_exception_covers_its_finding_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scan("COMPLETE", CVE_1="CRITICAL")
    assert "excepted" in judged(monkeypatch, found, gate=replace(GATE, exceptions={"CVE-1": date(2026, 3, 2)}))
    with pytest.raises(NotReleasableError) as refused:
        judged(monkeypatch, found, gate=replace(GATE, exceptions={"CVE-1": TODAY}))
    assert "expired on 2026-03-01" in refused.value.details[0]
    with pytest.raises(NotReleasableError):
        judged(monkeypatch, found, gate=replace(GATE, exceptions={"CVE-2": date(2026, 3, 2)}))


def test_findings_of_an_enhanced_scan_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    details = {"vulnerabilityId": "CVE-9", "vulnerablePackages": [{"name": "openssl", "version": "3.0"}]}
    found = {"severity": "CRITICAL", "packageVulnerabilityDetails": details}
    page = {"imageScanStatus": {"status": "ACTIVE"}, "imageScanFindings": {"enhancedFindings": [found]}}
    with pytest.raises(NotReleasableError) as refused:
        judged(monkeypatch, page)
    assert refused.value.details == ("critical CVE-9 openssl 3.0",)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"])
def test_an_image_that_could_not_be_scanned_blocks_the_release(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    with pytest.raises(NotReleasableError, match=f"{status}: the operating system is unknown"):
        judged(monkeypatch, scan(status, reason="the operating system is unknown"))


def test_an_image_that_is_never_scanned_blocks_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReleasableError, match="is scanning on push enabled"):
        judged(monkeypatch, None, seconds=0)


ENTRY = """
vulnerabilities:
  - id: CVE-2026-0001
    statement: In a tool that the service never runs.
    expired_at: 2026-04-01
"""


def exceptions(tmp_path: Path, text: str) -> dict[str, date]:
    file = tmp_path / "exceptions.yaml"
    file.write_text(text)
    return read_exceptions(file, today=TODAY)


def test_an_exception_names_its_finding_and_its_date(tmp_path: Path) -> None:
    assert exceptions(tmp_path, ENTRY) == {"CVE-2026-0001": date(2026, 4, 1)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    expired_at: 2026-04-01", ""),
        ("2026-04-01", "some day"),
        ("2026-04-01", "2027-04-01"),
        ("In a tool that the service never runs.", "later"),
        ("expired_at", "expires_at"),
        ("- id", "- [id"),
    ],
)
def test_an_incomplete_exception_is_rejected(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(NotReadyError, match=r"exceptions\.yaml"):
        exceptions(tmp_path, ENTRY.replace(old, new))


def test_the_projects_own_exceptions_are_complete() -> None:
    read_exceptions(EXCEPTIONS, today=datetime.now(UTC).date())
