"""The scan gate, with the answers of ECR that no engine on this machine gives."""

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber

from infra.stages import STAGES, Severity
from release import __main__ as command
from release import scan
from release.acceptances import Acceptances
from release.aws import Aws
from release.errors import NotReleasableError
from release.images import Images
from release.platforms import RealAws
from release.preflight import Plan
from release.scan import Gate

DIGEST = "sha256:" + "1" * 64


TODAY = date(2026, 3, 1)
GATE = Gate(Severity.CRITICAL, Acceptances({}, TODAY))


def judged(
    monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | None, seconds: float = 60, gate: Gate = GATE
) -> str:
    """Wait for a scan of which ECR says these things in turn; None for a scan that has not begun."""
    monkeypatch.setattr(scan, "POLL_SECONDS", 0)
    ecr = boto3.client("ecr", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(ecr) as stubber:
        for answer in answers:
            if answer is None:
                stubber.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
            else:
                stubber.add_response("describe_image_scan_findings", answer)
        found = scan.wait_for_scan(
            ecr, account="000000000000", repository="comments", digest=DIGEST, seconds=seconds, gate=gate
        )
        stubber.assert_no_pending_responses()
    return found


def answer(status: str, *, why: str = "", more: str = "", **names: str) -> dict[str, Any]:
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
        "imageScanStatus": {"status": status, "description": why},
        "imageScanFindings": {"findings": findings},
        **({"nextToken": more} if more else {}),
    }


def test_a_scan_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, None, answer("IN_PROGRESS"), answer("COMPLETE")) == "nothing found"


def test_findings_of_every_page_are_told_the_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = answer("COMPLETE", more="2", CVE_1="LOW", CVE_2="HIGH"), answer("COMPLETE", CVE_3="HIGH", CVE_4="LOW")
    assert judged(monkeypatch, *pages) == "2 high, 2 low"


def test_a_critical_finding_stops_the_release_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReleasableError, match="found 1 critical, 1 low: rebuild on a mended base image") as refused:
        judged(monkeypatch, answer("COMPLETE", CVE_1="CRITICAL", CVE_2="LOW"))
    assert refused.value.details == ("critical CVE-1 zlib 1.3",)


def test_a_stage_may_refuse_what_another_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = Gate(STAGES["prod"].blocking_severity, GATE.acceptances)
    with pytest.raises(NotReleasableError, match="found 1 high"):
        judged(monkeypatch, answer("COMPLETE", CVE_1="HIGH"), gate=strict)
    lenient = Gate(STAGES["dev"].blocking_severity, GATE.acceptances)
    assert judged(monkeypatch, answer("COMPLETE", CVE_1="HIGH"), gate=lenient) == "1 high"


@pytest.mark.parametrize(("last_day", "accepted"), [(date(2026, 3, 1), True), (date(2026, 2, 28), False)])
def test_an_accepted_finding_lets_the_image_through_until_its_last_day(
    monkeypatch: pytest.MonkeyPatch, last_day: date, accepted: bool
) -> None:
    gate = Gate(Severity.HIGH, Acceptances({"CVE-1": last_day}, TODAY))
    found = answer("COMPLETE", CVE_1="HIGH")
    if accepted:
        assert judged(monkeypatch, found, gate=gate) == "1 high, 1 of them accepted by name"
        return
    with pytest.raises(NotReleasableError) as refused:
        judged(monkeypatch, found, gate=gate)
    assert refused.value.details == ("high CVE-1 zlib 1.3 (accepted until 2026-02-28, which is over)",)


def test_findings_of_an_enhanced_scan_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    details = {"vulnerabilityId": "CVE-9", "vulnerablePackages": [{"name": "openssl", "version": "3.0"}]}
    found = {"severity": "CRITICAL", "packageVulnerabilityDetails": details}
    page = {"imageScanStatus": {"status": "ACTIVE"}, "imageScanFindings": {"enhancedFindings": [found]}}
    with pytest.raises(NotReleasableError) as refused:
        judged(monkeypatch, page)
    assert refused.value.details == ("critical CVE-9 openssl 3.0",)


def released(tags: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Pass the gate of dev with an image that has these tags and a critical finding."""

    def refuse(*_: object, **__: object) -> str:
        raise NotReleasableError("the scan found 1 critical")

    monkeypatch.setattr(command, "wait_for_scan", refuse)
    images = cast("Images", SimpleNamespace(repository="comments", tags=lambda _digest: tags))
    aws = Aws(STAGES["dev"], RealAws(), {}, "000000000000", "us-east-1")
    aws.__dict__["ecr"] = None
    return command.scan(Plan(aws=aws, tag="0123456789ab", builds=False, gate=GATE), images, DIGEST)


def test_a_rollback_does_not_wait_for_what_was_found_since(monkeypatch: pytest.MonkeyPatch) -> None:
    said = released(["0123456789ab", "dev-0123456789ab"], monkeypatch)
    assert said == "let through, since dev has run it before: the scan found 1 critical"
    with pytest.raises(NotReleasableError):
        released(["0123456789ab", "pr-7-0123456789ab"], monkeypatch)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"])
def test_an_image_that_could_not_be_scanned_stops_the_release(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    with pytest.raises(NotReleasableError, match=f"ended {status}: the operating system is unknown"):
        judged(monkeypatch, answer(status, why="the operating system is unknown"))


def test_a_scan_that_never_ends_stops_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReleasableError, match="is scanning on push enabled"):
        judged(monkeypatch, None, seconds=0)
