"""The scan gate, with Trivy and a database of two vulnerabilities."""

import json
import shutil
import struct
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.model import Severity
from release import scan as module
from release.command import CommandError, NotReadyError, ReleaseError
from release.scan import check_exceptions, scan
from tests.machine import needs

DATABASE = {
    "debian 13": {"perl-base": {"CVE-2": "{}"}, "zlib1g": {"CVE-1": json.dumps({"FixedVersion": "2.0"})}},
    "vulnerability": {"CVE-1": json.dumps({"Severity": "CRITICAL"}), "CVE-2": json.dumps({"Severity": "HIGH"})},
}
ENTRY = """
vulnerabilities:
  - id: CVE-1
    statement: In a tool that the service never runs.
    expired_at: 2026-04-01
"""


def bolt(buckets: dict[str, Any]) -> bytes:
    """Return a database in the format of bbolt: two pages of metadata, one of free pages, and one of buckets."""

    def page(number: int, kind: int, entries: int, content: bytes) -> bytes:
        return struct.pack("<QHHI", number, kind, entries, 0) + content

    def metadata(number: int) -> bytes:
        content = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, 4096, 0, 3, 0, 2, 4, number)
        checksum = 0xCBF29CE484222325  # FNV-1a
        for byte in content:
            checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
        return page(number, 4, 0, content + struct.pack("<Q", checksum))

    def bucket(number: int, values: dict[str, Any]) -> bytes:
        entries, content = b"", b""
        for index, (key, value) in enumerate(sorted(values.items())):
            nested = isinstance(value, dict)
            stored = bytes(16) + bucket(0, value) if nested else value.encode()
            entries += struct.pack("<IIII", nested, 16 * (len(values) - index) + len(content), len(key), len(stored))
            content += key.encode() + stored
        return page(number, 2, len(values), entries + content)

    pages = metadata(0), metadata(1), page(2, 16, 0, b""), bucket(3, buckets)
    return b"".join(content.ljust(4096, b"\0") for content in pages)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a Debian system with a package that has a critical vulnerability, and one that has a high one."""
    needs(shutil.which("trivy"), "Trivy is not installed")
    package = "Package: {}\nStatus: install ok installed\nVersion: 1.3\nArchitecture: amd64\n\n"
    system = tmp_path / "system"
    (system / "etc").mkdir(parents=True)
    (system / "var/lib/dpkg").mkdir(parents=True)
    (system / "etc/debian_version").write_text("13.1")
    (system / "var/lib/dpkg/status").write_text(package.format("zlib1g") + package.format("perl-base"))
    (tmp_path / "db").mkdir()
    (tmp_path / "db/trivy.db").write_bytes(bolt(DATABASE))
    (tmp_path / "db/metadata.json").write_text('{"Version": 2}')
    monkeypatch.setenv("TRIVY_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TRIVY_SKIP_DB_UPDATE", "true")
    monkeypatch.setattr(module, "REPORT", tmp_path / "build/scan.json")
    return system


def test_vulnerabilities_block_from_the_severity_of_the_stage(root: Path) -> None:
    zlib, perl = "CRITICAL CVE-1 zlib1g 1.3, fixed in 2.0", "HIGH CVE-2 perl-base 1.3, fixed in no version yet"
    for severity, blocking in ((Severity.CRITICAL, {zlib}), (Severity.HIGH, {zlib, perl})):
        with pytest.raises(ReleaseError, match="1 critical, 1 high") as refused:
            scan("rootfs", str(root), severity=severity)
        assert set(refused.value.details) == blocking


def test_an_exception_covers_its_vulnerability_until_it_expires(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(ENTRY.replace("2026-04-01", "2999-01-01"))
    assert scan("rootfs", str(root), severity=Severity.CRITICAL, exceptions=file) == "1 high"
    file.write_text(ENTRY)
    with pytest.raises(ReleaseError, match=r"1 critical, 1 high: .*exceptions\.yaml"):
        scan("rootfs", str(root), severity=Severity.CRITICAL, exceptions=file)


def test_an_image_that_cannot_be_scanned_is_not_one_without_vulnerabilities(root: Path, tmp_path: Path) -> None:
    (root / "etc/debian_version").unlink()
    with pytest.raises(ReleaseError, match="does not recognize the operating system"):
        scan("rootfs", str(root), severity=Severity.CRITICAL)
    (tmp_path / "db/metadata.json").unlink()
    with pytest.raises(CommandError, match="trivy"):
        scan("rootfs", str(root), severity=Severity.CRITICAL)


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
