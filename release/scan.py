"""The scan gate: Trivy's findings in an image, and the exceptions in .trivyignore.yaml."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import yaml

from infra.stages import Severity
from release.command import PROJECT_ROOT, NotReadyError, ReleaseError, run

EXCEPTIONS = PROJECT_ROOT / ".trivyignore.yaml"
LONGEST_EXCEPTION = timedelta(days=90)
"""After that, a fixed package is available or the reason needs another review."""
REPORT = PROJECT_ROOT / "build" / "scan.json"
_STATEMENT_LENGTH = 20


def check_exceptions(file: Path = EXCEPTIONS, *, today: date | None = None) -> None:
    """Raise NotReadyError for an exception without an ID, a statement and an end within LONGEST_EXCEPTION."""
    latest = (today or datetime.now(UTC).date()) + LONGEST_EXCEPTION
    try:
        entries = list((yaml.safe_load(file.read_text()) or {}).get("vulnerabilities") or [])
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise NotReadyError(f"{file.name} must be YAML with a list `vulnerabilities`: {error}") from error
    for entry in entries:
        match entry:
            case {"id": str(), "statement": str(reason), "expired_at": date() as expiry} if (
                len(reason) >= _STATEMENT_LENGTH and not isinstance(expiry, datetime) and expiry <= latest
            ):
                pass
            case _:
                raise NotReadyError(
                    f"{file.name}, {entry}: expected id, statement (why the finding is harmless here) and expired_at (a"
                    f" date within {LONGEST_EXCEPTION.days} days)"
                )


def scan(
    *target: str, severity: Severity, exceptions: Path = EXCEPTIONS, variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Scan a target of Trivy, such as ("image", NAME), and return how many findings it has; REPORT lists them.

    Raises ReleaseError for findings of this severity or higher, and CommandError if Trivy fails. Trivy leaves out
    findings with exceptions that have not expired.
    """
    REPORT.parent.mkdir(exist_ok=True)
    options = ["--scanners=vuln", f"--ignorefile={exceptions}", "--format=json", f"--output={REPORT}", "--quiet"]
    run(["trivy", *target, *options], variables=variables)
    report = json.loads(REPORT.read_text())
    if report["Metadata"].get("OS", {}).get("Family", "none") == "none":
        raise ReleaseError(f"Trivy does not recognize the operating system of {target[-1]}")
    found = [each for result in report.get("Results", []) for each in result.get("Vulnerabilities", [])]
    counts = Counter(each["Severity"] for each in found)
    levels = [*(level.value for level in Severity), "UNKNOWN"]
    summary = ", ".join(f"{counts[level]} {level.lower()}" for level in levels if counts[level]) or "no findings"
    blocking = levels[: levels.index(severity.value) + 1]
    if blocked := [each for each in found if each["Severity"] in blocking]:
        raise ReleaseError(
            f"the scan of {target[-1]} found {summary}: update the base image or the package, or add an"
            f" exception, with a reason and a date, to {exceptions.name}",
            *(
                f"{each['Severity']} {each['VulnerabilityID']} {each['PkgName']} {each['InstalledVersion']}, fixed in"
                f" {each.get('FixedVersion') or 'no version yet'}"
                for each in blocked
            ),
        )
    return summary
