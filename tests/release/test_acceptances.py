"""Which findings are accepted, for how long, and what an entry must say."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from release.acceptances import FILE, Acceptances
from release.errors import NotReadyError

TODAY = date(2026, 3, 1)
ENTRY = """
[[finding]]
id = "CVE-2026-0001"
reason = "in a tool that the service never runs"
until = 2026-04-01
"""


def read(tmp_path: Path, text: str) -> Acceptances:
    file = tmp_path / "acceptances.toml"
    file.write_text(text)
    return Acceptances.read(file, today=TODAY)


def test_an_entry_covers_its_finding_alone(tmp_path: Path) -> None:
    accepted = read(tmp_path, ENTRY)
    assert accepted.cover("CVE-2026-0001")
    assert not accepted.cover("CVE-2026-0002")


def test_an_entry_ends_by_itself(tmp_path: Path) -> None:
    over = read(tmp_path, ENTRY.replace("2026-04-01", "2026-02-28"))
    assert not over.cover("CVE-2026-0001")
    assert over.remark("CVE-2026-0001") == " (accepted until 2026-02-28, which is over)"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("until = 2026-04-01", "", "finding 1: until is None; expected a date such as 2026-12-31"),
        ("2026-04-01", '"2026-04-01"', "until is '2026-04-01'; expected a date"),
        ("2026-04-01", "2027-04-01", "until is 2027-04-01; accept it for 90 days at most"),
        ("in a tool that the service never runs", "later", "reason is 'later'; say why it does no harm here"),
        ("until =", "untill = 1\nuntil =", "unknown field 'untill'; there are id, reason, until"),
        ("[[finding]]", "[[findings]]", "unknown 'findings'; every entry begins with"),
        ("[[finding]]", ENTRY + "[[finding]]", "CVE-2026-0001 is there twice"),
        ("[[finding]]", "[[finding", "is no TOML"),
    ],
)
def test_an_entry_that_does_not_say_all_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(NotReadyError, match=message):
        read(tmp_path, ENTRY.replace(old, new))


def test_the_projects_own_list_is_in_order() -> None:
    Acceptances.read(FILE, today=datetime.now(UTC).date())
