"""Read the table of permissions in docs/permissions.md."""

import re
from collections.abc import Iterator
from pathlib import Path

from infra.permissions import SETTINGS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
_ROW = re.compile(r"^\| (?P<actions>`.+`) \| (?P<roles>[^|]+) \| [^|]+ \| (?P<tested>yes|no: [^|]+) \|$", re.MULTILINE)


def rows() -> Iterator[tuple[str, str, bool]]:
    """Yield the last word of a role's name, an action of the role, and whether the playground tests it."""
    for match in _ROW.finditer(DOCUMENT.read_text()):
        for name in re.findall(r"`([^`]+)`", match["actions"]):
            for action in SETTINGS.actions if name == "SETTINGS" else (name,):
                for role in match["roles"].split(", ") if ":" in action else ():
                    yield role, action, match["tested"] == "yes"


def not_enforced() -> set[tuple[str, str]]:
    """Return roles and actions that the playground does not test."""
    return {(role, action) for role, action, tested in rows() if not tested}
