"""Tells from the service's log why its store does not answer: a permission, a table, or DynamoDB itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from release.readable import store_failures

_DENIED = re.compile(r"\btable (?P<table>\S+): .*is not authorized to perform: (?P<action>\S+)")
_MISSING = re.compile(r"\btable (?P<table>\S+): .*ResourceNotFoundException")
_THROTTLED = re.compile(r"Throttl|ProvisionedThroughputExceeded|RequestLimitExceeded")


def store_causes(log_lines: Iterable[str]) -> Iterator[str]:
    """Yield one line for each way in which the store fails, each saying what to do."""
    yield from dict.fromkeys(_cause(said) for said in store_failures(log_lines))


def _cause(said: str) -> str:
    if match := _DENIED.search(said):
        return (
            f"the task's role lacks {match['action']} on the table {match['table']}: grant it in"
            " infra/stacks/service.py; `make drift` names what was taken away by hand"
        )
    if match := _MISSING.search(said):
        return (
            f"there is no table {match['table']}: restore it from its backup under this name, as docs/operations.md"
            " says; no release makes it again, since CloudFormation believes that it is there"
        )
    if _THROTTLED.search(said):
        return f"DynamoDB throttles the table: see `throttles` in docs/operations.md ({said})"
    return f"the store does not answer: {said}"
