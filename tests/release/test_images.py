"""Tags and digests in a registry like AWS's, which image a stage may run, and the scan gate."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from infra.stages import STAGES, Severity
from release import images as module
from release.aws import Aws
from release.errors import NotReadyError, ReleaseError, ScanError
from release.images import EXCEPTIONS, Gate, Images, read_exceptions, require_releasable, wait_for_scan
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


def test_an_account_without_a_registry_has_no_image(aws: Aws) -> None:
    with pytest.raises(NotReadyError, match="no image"):
        require_releasable(STAGES["dev"], COMMIT, Images(aws))


# ---- the scan gate, with responses of ECR that the engine on this machine doesn't give ----


@pytest.fixture
def ecr(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Images, Stubber]]:
    monkeypatch.setattr(module, "POLL_SECONDS", 0)
    images = Images(dev)
    with Stubber(images.ecr) as stubber:
        yield images, stubber
        stubber.assert_no_pending_responses()


def judged(
    ecr: tuple[Images, Stubber], *responses: dict[str, Any] | None, seconds: float = 60, gate: Gate = GATE
) -> str:
    """Wait for a scan with these responses in turn; None for a scan that has not started."""
    images, stubber = ecr
    for response in responses:
        if response is None:
            stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
        else:
            stubber.add_response("describe_image_scan_findings", response)
    return wait_for_scan(images, DIGEST, gate, seconds=seconds)


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


def test_a_scan_is_waited_for_and_every_page_counts(ecr: tuple[Images, Stubber]) -> None:
    pages = scan("COMPLETE", more="2", CVE_1="LOW", CVE_2="HIGH"), scan("COMPLETE", CVE_3="HIGH", CVE_4="LOW")
    assert judged(ecr, None, scan("IN_PROGRESS"), *pages) == "2 high, 2 low"


DETAILS = {"vulnerabilityId": "CVE-1", "vulnerablePackages": [{"name": "zlib", "version": "1.3"}]}
ENHANCED = {
    "imageScanStatus": {"status": "ACTIVE"},
    "imageScanFindings": {
        "enhancedFindings": [{"severity": "CRITICAL", "packageVulnerabilityDetails": DETAILS}],
    },
}


@pytest.mark.parametrize(
    "found", [scan("COMPLETE", CVE_1="CRITICAL", CVE_2="LOW"), ENHANCED], ids=["basic", "enhanced"]
)
def test_a_critical_finding_blocks_the_release_and_is_named(ecr: tuple[Images, Stubber], found: dict[str, Any]) -> None:
    with pytest.raises(ScanError, match="1 critical") as refused:
        judged(ecr, found)
    assert refused.value.details == ("CRITICAL CVE-1 zlib 1.3",)


@pytest.mark.parametrize(("stage", "blocks"), [("dev", False), ("prod", True)])
def test_a_stage_may_block_what_another_takes(ecr: tuple[Images, Stubber], stage: str, blocks: bool) -> None:
    gate = replace(GATE, severity=STAGES[stage].blocking_severity)
    with pytest.raises(ScanError) if blocks else nullcontext():
        judged(ecr, scan("COMPLETE", CVE_1="HIGH"), gate=gate)


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (scan("UNSUPPORTED_IMAGE", reason="the operating system is unknown"), "the operating system is unknown"),
        (None, "is scanning on push enabled"),
    ],
)
def test_an_image_without_a_scan_is_not_released(
    ecr: tuple[Images, Stubber], response: dict[str, Any] | None, problem: str
) -> None:
    with pytest.raises(ScanError, match=problem):
        judged(ecr, response, seconds=0)


ENTRY = """
vulnerabilities:
  - id: CVE-1
    statement: In a tool that the service never runs.
    expired_at: 2026-04-01
"""


def exceptions(tmp_path: Path, text: str, *, today: date = TODAY) -> dict[str, date]:
    file = tmp_path / "exceptions.yaml"
    file.write_text(text)
    return read_exceptions(file, today=today)


def test_an_exception_covers_its_finding_until_it_expires(ecr: tuple[Images, Stubber], tmp_path: Path) -> None:
    found = scan("COMPLETE", CVE_1="CRITICAL")
    gate = replace(GATE, exceptions=exceptions(tmp_path, ENTRY))
    assert "ignored" in judged(ecr, found, gate=gate)
    with pytest.raises(ScanError) as blocked:
        judged(ecr, found, gate=replace(gate, today=date(2026, 4, 1)))
    assert "expired on 2026-04-01" in blocked.value.details[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    expired_at: 2026-04-01", ""),
        ("2026-04-01", "some day"),
        ("2026-04-01", "2027-04-01"),
        ("In a tool that the service never runs.", "later"),
        ("    expired_at", "    paths: [usr]\n    expired_at"),
        ("- id", "- [id"),
    ],
)
def test_an_incomplete_exception_is_rejected(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(NotReadyError, match=r"exceptions\.yaml"):
        exceptions(tmp_path, ENTRY.replace(old, new))


def test_the_projects_own_exceptions_are_complete() -> None:
    read_exceptions(EXCEPTIONS, today=datetime.now(UTC).date())
