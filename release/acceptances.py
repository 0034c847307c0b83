"""Reads which findings of a scan are accepted for a while: release/acceptances.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from release.errors import NotReadyError

FILE = Path(__file__).with_suffix(".toml")
LONGEST = timedelta(days=90)
"""From today: by then there is a mended package, or the reason is worth another thought."""
_FIELDS = {"id": str, "reason": str, "until": date}
_REASON_LENGTH = 20


@dataclass(frozen=True)
class Acceptances:
    """What is accepted, and what no longer is, each with its last day."""

    until: Mapping[str, date]
    today: date

    @classmethod
    def read(cls, file: Path = FILE, *, today: date) -> Acceptances:
        """Raise NotReadyError, which names the entry and the field, for anything that is not as it should be."""
        try:
            entries = tomllib.loads(file.read_text())
        except tomllib.TOMLDecodeError as error:
            raise NotReadyError(f"{file.name} is no TOML: {error}") from error
        unknown = sorted(entries.keys() - {"finding"})
        if unknown:
            raise NotReadyError(f"{file.name}: unknown {unknown[0]!r}; every entry begins with [[finding]]")
        until: dict[str, date] = {}
        for number, entry in enumerate(entries.get("finding", []), start=1):
            name = _checked(entry, f"{file.name}, finding {number}", today=today)
            if name in until:
                raise NotReadyError(f"{file.name}: {name} is there twice")
            until[name] = entry["until"]
        return cls(until, today)

    def cover(self, name: str) -> bool:
        return name in self.until and self.today <= self.until[name]

    def remark(self, name: str) -> str:
        """Return what is to say about a finding that is no longer accepted."""
        return f" (accepted until {self.until[name]}, which is over)" if name in self.until else ""


def _checked(entry: Mapping[str, Any], where: str, *, today: date) -> str:
    """Return the id of an entry."""
    for field, kind in _FIELDS.items():
        if not isinstance(entry.get(field), kind):
            raise NotReadyError(f"{where}: {field} is {entry.get(field)!r}; expected {_EXPECTED[field]}")
    unknown = sorted(entry.keys() - _FIELDS.keys())
    if unknown:
        raise NotReadyError(f"{where}: unknown field {unknown[0]!r}; there are {', '.join(_FIELDS)}")
    if len(entry["reason"]) < _REASON_LENGTH:
        raise NotReadyError(f"{where}: reason is {entry['reason']!r}; say why it does no harm here")
    if entry["until"] > today + LONGEST:
        raise NotReadyError(f"{where}: until is {entry['until']}; accept it for {LONGEST.days} days at most")
    return str(entry["id"])


_EXPECTED = {"id": 'a name such as "CVE-2026-0001"', "reason": "a sentence", "until": "a date such as 2026-12-31"}
