"""Log lines as a person reads them: the service's JSON in short, and a traceback as the error that it ends in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_PLACE = re.compile(r'\s*File "(.+)", line (\d+)')
_CLOCK = re.compile(r"T(\d\d:\d\d:\d\d)")
_STORE_FAILED = "the store failed: "
"""How the service begins the line about a store that does not answer it."""


def readable(lines: Iterable[str]) -> list[str]:
    """Return the lines in short; `make logs` shows each as it is."""
    return [text for text, _ in _condensed(_in_short(line) for line in lines)]


def last_error(lines: Iterable[str]) -> str | None:
    """Return the error that a program ended with, if its log names one: ours begin so, Python's end a traceback."""
    whole = (part for line in lines for part in str(_fields(line).get("traceback", line)).splitlines())
    errors = [text for text, raised in _condensed(whole) if raised or text.startswith("error: ")]
    return errors[-1].removeprefix("error: ") if errors else None


def store_failures(lines: Iterable[str]) -> list[str]:
    """Return what the service's log says about a store that does not answer, each once."""
    said = [str(_fields(line).get("message", "")) for line in lines]
    return list(dict.fromkeys(text.removeprefix(_STORE_FAILED) for text in said if text.startswith(_STORE_FAILED)))


def _fields(line: str) -> dict[str, Any]:
    """Return the fields of a line in JSON; none of any other."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _in_short(line: str) -> str:
    entry = _fields(line)
    if "message" not in entry:
        return line
    message = str(entry["message"])
    if "method" in entry:
        where = entry.get("path") or entry.get("route")
        message = f"{entry['method']} {where} {entry.get('status')} in {entry.get('duration_ms')} ms"
    clock = _CLOCK.search(str(entry.get("time", "")))
    for text, _ in list(_condensed(str(entry.get("traceback", "")).splitlines()))[-1:]:
        words = text.partition(": ")[2].rpartition(" at ")[0]
        message += "" if words and words in message else f" ({text})"
    return " ".join([*([clock[1]] if clock else []), str(entry.get("level", "")), message])


def _condensed(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield the lines, and in place of a traceback its error and where that was raised, marked with True."""
    place, within = "", False
    for line in lines:
        if line == _TRACEBACK:
            within, place = True, ""
        elif within and (line.startswith(" ") or not line):
            match = _PLACE.match(line)
            place = f" at {match[1]}:{match[2]}" if match else place
        elif within:
            within = False
            yield f"{line}{place}", True
        elif line and not line.startswith(_CHAINED):
            yield line, False
