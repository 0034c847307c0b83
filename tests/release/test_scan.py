"""The scan gate, with Trivy and recorded reports."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from infra.model import Severity
from release import scan as module
from release.command import CommandError, NotReadyError, ReleaseError
from release.scan import check_exceptions, scan
from tests.machine import needs

RECORDED = Path(__file__).parent / "trivy"
"""Reports of Trivy 0.76: of Debian 13 with a package that has a critical vulnerability and one that has a high one, and
of a system that it does not recognize. `trivy convert` applies exceptions to a report as `trivy image` does."""
FINDINGS = ("convert", str(RECORDED / "findings.json"))
ENTRY = """
vulnerabilities:
  - id: CVE-1
    statement: In a tool that the service never runs.
    expired_at: 2026-04-01
"""


@pytest.fixture(autouse=True)
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT", tmp_path / "build/scan.json")


@pytest.fixture
def trivy() -> None:
    needs(shutil.which("trivy"), "Trivy is not installed")


@pytest.mark.usefixtures("trivy")
def test_vulnerabilities_block_from_the_severity_of_the_stage() -> None:
    zlib, perl = "CRITICAL CVE-1 zlib1g 1.3, fixed in 2.0", "HIGH CVE-2 perl-base 1.3, fixed in no version yet"
    for severity, blocking in ((Severity.CRITICAL, {zlib}), (Severity.HIGH, {zlib, perl})):
        with pytest.raises(ReleaseError, match="1 critical, 1 high") as refused:
            scan(*FINDINGS, severity=severity)
        assert set(refused.value.details) == blocking


@pytest.mark.usefixtures("trivy")
def test_an_exception_covers_its_vulnerability_until_it_expires(tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(ENTRY.replace("2026-04-01", "2999-01-01"))
    assert scan(*FINDINGS, severity=Severity.CRITICAL, exceptions=file) == "1 high"
    file.write_text(ENTRY)
    with pytest.raises(ReleaseError, match=r"1 critical, 1 high: .*exceptions\.yaml"):
        scan(*FINDINGS, severity=Severity.CRITICAL, exceptions=file)


@pytest.mark.usefixtures("trivy")
def test_an_image_that_cannot_be_scanned_is_not_one_without_vulnerabilities() -> None:
    with pytest.raises(ReleaseError, match="does not recognize the operating system"):
        scan("convert", str(RECORDED / "unknown_system.json"), severity=Severity.CRITICAL)
    with pytest.raises(CommandError, match="trivy"):
        scan("convert", str(RECORDED / "missing.json"), severity=Severity.CRITICAL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    expired_at: 2026-04-01", ""),
        ("2026-04-01", "some day"),
        ("2026-04-01", "2026-04-01T00:00:00Z"),
        ("2026-04-01", "2027-04-01"),
        ("In a tool that the service never runs.", "later"),
        ("- id", "- [id"),
        ("vulnerabilities:", "- vulnerabilities:"),
        (ENTRY, "vulnerabilities: 5"),
    ],
)
def test_an_incomplete_exception_is_rejected(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "exceptions.yaml"
    today = date(2026, 3, 1)
    file.write_text(ENTRY)
    check_exceptions(file, today=today)
    file.write_text(ENTRY.replace(old, new))
    with pytest.raises(NotReadyError, match=r"exceptions\.yaml"):
        check_exceptions(file, today=today)
