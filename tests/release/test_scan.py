"""The scan gate, with the answers of ECR that no engine on this machine gives."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.release import scan
from infra.release.errors import NotReleasableError

DIGEST = "sha256:" + "1" * 64


def judged(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | None, seconds: float = 60) -> str:
    """Wait for a scan of which ECR says these things in turn; None for a scan that has not begun."""
    monkeypatch.setattr(scan, "POLL_SECONDS", 0)
    ecr = boto3.client("ecr", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(ecr) as stubber:
        for answer in answers:
            if answer is None:
                stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
            else:
                stubber.add_response("describe_image_scan_findings", answer)
        found = scan.wait_for_scan(ecr, account="000000000000", repository="comments", digest=DIGEST, seconds=seconds)
        stubber.assert_no_pending_responses()
    return found


def answer(status: str, *, why: str = "", **counts: int) -> dict[str, Any]:
    return {
        "imageScanStatus": {"status": status, "description": why},
        "imageScanFindings": {"findingSeverityCounts": counts},
    }


def test_a_scan_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, None, answer("IN_PROGRESS"), answer("COMPLETE")) == "nothing found"


def test_findings_are_told_the_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, answer("COMPLETE", LOW=7, HIGH=2)) == "2 high, 7 low"


def test_a_critical_finding_stops_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReleasableError, match="found 1 critical, 3 low: rebuild on a mended base image"):
        judged(monkeypatch, answer("COMPLETE", CRITICAL=1, LOW=3))


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"])
def test_an_image_that_could_not_be_scanned_stops_the_release(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    with pytest.raises(NotReleasableError, match=f"ended {status}: the operating system is unknown"):
        judged(monkeypatch, answer(status, why="the operating system is unknown"))


def test_a_scan_that_never_ends_stops_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReleasableError, match="is scanning on push enabled"):
        judged(monkeypatch, None, seconds=0)
