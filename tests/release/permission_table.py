"""Read the table of permissions in docs/permissions.md."""

import re
from dataclasses import dataclass
from pathlib import Path

from infra.permissions import SETTINGS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
TESTED = "yes"
_ROW = re.compile(
    r"^\| (?P<actions>`.+`) \| (?P<roles>[^|]+) \| (?P<needed_for>[^|]+) \| (?P<tested>yes|no: [^|]+) \|$", re.MULTILINE
)


@dataclass(frozen=True)
class Row:
    """Permissions that the same roles have for the same reason."""

    actions: tuple[str, ...]
    roles: tuple[str, ...]
    """The last words of their names."""
    needed_for: str
    tested: str


def rows() -> list[Row]:
    found = []
    for match in _ROW.finditer(DOCUMENT.read_text()):
        actions = [action for name in re.findall(r"`([^`]+)`", match["actions"]) for action in _actions(name)]
        found.append(Row(tuple(actions), tuple(match["roles"].split(", ")), match["needed_for"], match["tested"]))
    return found


def _actions(name: str) -> tuple[str, ...]:
    """Return the actions that a name in the first column stands for."""
    if name == "SETTINGS":
        return SETTINGS.actions
    return (name,) if ":" in name else ()


def not_enforced() -> set[tuple[str, str]]:
    """Return roles and actions that the playground does not test."""
    return {(role, action) for row in rows() if row.tested != TESTED for role in row.roles for action in row.actions}
