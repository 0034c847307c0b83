"""Read the table of permissions in docs/permissions.md."""

import re
from dataclasses import dataclass
from pathlib import Path

from infra.permissions import SETTINGS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
_ROW = re.compile(r"^\| (?P<actions>`.+`) \| (?P<roles>[^|]+) \| [^|]+ \| (?P<tested>yes|no: [^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """Permissions that the same roles have for the same reason."""

    actions: tuple[str, ...]
    roles: tuple[str, ...]
    """The last words of their names."""
    tested: str


def rows() -> list[Row]:
    found = []
    for match in _ROW.finditer(DOCUMENT.read_text()):
        names = re.findall(r"`([^`]+)`", match["actions"])
        actions = [action for name in names for action in (SETTINGS.actions if name == "SETTINGS" else (name,))]
        found.append(
            Row(tuple(each for each in actions if ":" in each), tuple(match["roles"].split(", ")), match["tested"])
        )
    return found


def not_enforced() -> set[tuple[str, str]]:
    """Return roles and actions that the playground does not test."""
    return {(role, action) for row in rows() if row.tested != "yes" for role in row.roles for action in row.actions}
