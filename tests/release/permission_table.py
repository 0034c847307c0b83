"""Reads the tables of docs/permissions.md: who may do what, why, and how that is proven."""

import re
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
TAKEN_AWAY = "taken away"
NOT_ENFORCED = "not enforced: "
_ROW = re.compile(
    r"^\| (?P<actions>`.+`) \| (?P<roles>[^|]+) \| (?P<needed_by>[^|]*) \| (?P<proof>[^|]+) \|$", re.MULTILINE
)


@dataclass(frozen=True)
class Row:
    """Permissions that the same roles have for the same reason."""

    actions: tuple[str, ...]
    roles: tuple[str, ...]
    """The last words of their names."""
    needed_by: str
    proof: str


def rows() -> list[Row]:
    found = []
    for match in _ROW.finditer(DOCUMENT.read_text()):
        proof = match["proof"].strip()
        assert proof == TAKEN_AWAY or proof.startswith(NOT_ENFORCED), proof
        actions = tuple(re.findall(r"`([^`]+)`", match["actions"]))
        found.append(Row(actions, tuple(match["roles"].strip().split(", ")), match["needed_by"].strip(), proof))
    return found


def not_enforced() -> set[tuple[str, str]]:
    """Return roles and actions of which the playground proves nothing."""
    return {(role, action) for row in rows() if row.proof != TAKEN_AWAY for role in row.roles for action in row.actions}
