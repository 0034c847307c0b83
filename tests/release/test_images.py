"""Tags and digests in a registry like AWS's, which image a stage may run, and the scan gate."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from infra.stages import STAGES, Severity
from release import images as module
from release.aws import Aws
from release.errors import NotReadyError, ReleaseError, ScanError
from release.images import Gate, Images, read_exceptions, require_releasable, wait_for_scan
from tests.release.conftest import store_image

COMMIT = "0123456789ab"
DIGEST = "sha256:" + "1" * 64
TODAY = date(2026, 3, 1)
GATE = Gate(Severity.CRITICAL, {}, TODAY)


def test_a_tag_is_set_once_and_never_moved(aws: Aws, images: Images) -> None:
    first, second = store_image(aws, "aaaaaaaaaaaa"), store_image(aws, "bbbbbbbbbbbb")
    for _ in range(2):  # a repeated release, or one at the same time
        images.add_tag(first, "dev-aaaaaaaaaaaa")
    assert images.tags(first) == ["aaaaaaaaaaaa", "dev-aaaaaaaaaaaa"]
    with pytest.raises(ReleaseError, match=f"already names {first}"):
        images.add_tag(second, "dev-aaaaaaaaaaaa")
    with pytest.raises(ReleaseError, match="no longer has"):
        images.add_tag(DIGEST, f"dev-{COMMIT}")


def test_an_account_without_a_registry_has_no_image(aws: Aws) -> None:
    with pytest.raises(NotReadyError, match="no image"):
        require_releasable(STAGES["dev"], COMMIT, Images(aws))


def test_prod_takes_what_dev_has_run_and_nothing_else(aws: Aws, images: Images) -> None:
    with pytest.raises(NotReadyError, match=f"no image {COMMIT}: deploy it to dev first"):
        require_releasable(STAGES["prod"], COMMIT, images)
    digest = store_image(aws, COMMIT)
    images.add_tag(digest, f"pr-7-{COMMIT}")
    with pytest.raises(NotReadyError, match="deploy this commit to dev first"):
        require_releasable(STAGES["prod"], COMMIT, images)
    images.add_tag(digest, f"dev-{COMMIT}")
    require_releasable(STAGES["prod"], COMMIT, images)


def test_a_rollback_is_offered_to_the_latest_other_images_and_first_to_the_one_before(aws: Aws, images: Images) -> None:
    older, before, latest = (store_image(aws, digits * 12) for digits in "abc")
    for number in range(6):
        images.add_tag(latest, f"dev-{number:012}")
    images.add_tag(older, f"dev-{'a' * 12}")
    images.add_tag(before, f"dev-{'b' * 12}")
    assert images.verified_in("dev", other_than=latest, first=older) == [f"dev-{'a' * 12}", f"dev-{'b' * 12}"]
    assert images.verified_in("dev", other_than=latest, first=before)[0] == f"dev-{'b' * 12}"


# ---- the scan gate, with responses of ECR that the engine on this machine doesn't give ----


@pytest.fixture
def judge(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Return what waits for a scan with the given responses in turn; None for a scan that has not started."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0)
    with Stubber(dev.ecr) as stubber:

        def judge(*responses: dict[str, Any] | None, seconds: float = 60, gate: Gate = GATE) -> str:
            for response in responses:
                if response is None:
                    stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
                else:
                    stubber.add_response("describe_image_scan_findings", response)
            return wait_for_scan(Images(dev), DIGEST, gate, seconds=seconds)

        yield judge
        stubber.assert_no_pending_responses()


def scan(status: str, **severities: str) -> dict[str, Any]:
    """Return a page of findings, given as CVE_2026_1="HIGH"."""
    package = [{"key": "package_name", "value": "zlib"}, {"key": "package_version", "value": "1.3"}]
    findings = [
        {"name": name.replace("_", "-"), "severity": severity, "attributes": package}
        for name, severity in severities.items()
    ]
    return {"imageScanStatus": {"status": status}, "imageScanFindings": {"findings": findings}}


def test_a_scan_is_waited_for_and_every_page_counts(judge: Callable[..., str]) -> None:
    first, last = scan("COMPLETE", CVE_1="LOW", CVE_2="HIGH"), scan("COMPLETE", CVE_3="HIGH", CVE_4="LOW")
    assert judge(None, scan("IN_PROGRESS"), first | {"nextToken": "2"}, last) == "2 high, 2 low"


DETAILS = {"vulnerabilityId": "CVE-1", "vulnerablePackages": [{"name": "zlib", "version": "1.3"}]}
ENHANCED = {
    "imageScanStatus": {"status": "ACTIVE"},
    "imageScanFindings": {"enhancedFindings": [{"severity": "CRITICAL", "packageVulnerabilityDetails": DETAILS}]},
}
UNSUPPORTED = {"imageScanStatus": {"status": "UNSUPPORTED_IMAGE", "description": "the operating system is unknown"}}


@pytest.mark.parametrize(
    ("response", "problem", "details"),
    [
        (scan("COMPLETE", CVE_1="CRITICAL", CVE_2="LOW"), "1 critical, 1 low", ("CRITICAL CVE-1 zlib 1.3",)),
        (ENHANCED, "1 critical", ("CRITICAL CVE-1 zlib 1.3",)),
        (UNSUPPORTED, "the operating system is unknown", ()),
        (None, "is scanning on push enabled", ()),
    ],
    ids=["basic scanning", "enhanced scanning", "a failed scan", "no scan"],
)
def test_an_image_with_a_critical_finding_or_without_a_scan_is_not_released(
    judge: Callable[..., str], response: dict[str, Any] | None, problem: str, details: tuple[str, ...]
) -> None:
    with pytest.raises(ScanError, match=problem) as refused:
        judge(response, seconds=0)
    assert refused.value.details == details


def test_a_stage_may_block_what_another_takes(judge: Callable[..., str]) -> None:
    found = scan("COMPLETE", CVE_1="HIGH")
    assert judge(found, gate=replace(GATE, severity=STAGES["dev"].blocking_severity)) == "1 high"
    with pytest.raises(ScanError):
        judge(found, gate=replace(GATE, severity=STAGES["prod"].blocking_severity))


ENTRY = """
vulnerabilities:
  - id: CVE-1
    statement: In a tool that the service never runs.
    expired_at: 2026-04-01
"""


def test_an_exception_covers_its_finding_until_it_expires(judge: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(ENTRY)
    found = scan("COMPLETE", CVE_1="CRITICAL")
    gate = replace(GATE, exceptions=read_exceptions(file, today=TODAY))
    assert "ignored" in judge(found, gate=gate)
    with pytest.raises(ScanError) as blocked:
        judge(found, gate=replace(gate, today=date(2026, 4, 1)))
    assert "expired on 2026-04-01" in blocked.value.details[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    expired_at: 2026-04-01", ""),
        ("2026-04-01", "some day"),
        ("2026-04-01", "2026-04-01T00:00:00Z"),
        ("2026-04-01", "2027-04-01"),
        ("In a tool that the service never runs.", "later"),
        ("    expired_at", "    paths: [usr]\n    expired_at"),
        ("- id", "- [id"),
        ("vulnerabilities:", "- vulnerabilities:"),
        (ENTRY, "vulnerabilities: 5"),
    ],
)
def test_an_incomplete_exception_is_rejected(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(ENTRY.replace(old, new))
    with pytest.raises(NotReadyError, match=r"exceptions\.yaml"):
        read_exceptions(file, today=TODAY)
