"""Picks from the CDK CLI's output what a person follows during a deployment."""

from __future__ import annotations

import re
from collections.abc import Callable

_EVENT = re.compile(
    r"\S+ \| +(?P<progress>\d+(?:/\d+)?) \| [\d:]+ (?:[AP]M )?\| (?P<status>\w+) +\| (?P<type>\S+) +\| (?P<rest>.+)"
)
_LOGICAL_ID = re.compile(r" \(\w+\)")  # follows the construct's path, and says the same


class Events:
    """Passes on resources that came, went or failed, and stacks that needed nothing; for one run of the CLI."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._rolling_back = False

    def __call__(self, line: str) -> None:
        if "(no changes)" in line:
            self._note(line.strip(" \n✅"))
        event = _EVENT.match(line.strip())
        if not event:
            return
        status = event["status"]
        if "ROLLBACK_IN_PROGRESS" in status:
            self._rolling_back = True
            self._note("CloudFormation rolls back")
        elif status.endswith("_FAILED") or (status.endswith("_COMPLETE") and not self._rolling_back):
            rest = _LOGICAL_ID.sub("", event["rest"], count=1).strip()
            self._note(f"{event['progress']:>6} {status} {event['type']} {rest}")
