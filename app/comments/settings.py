"""What can be set from outside: read once from the environment, wrong values refused by name."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

PREFIX = "COMMENTS_"
DATA = Path(__file__).resolve().parent.parent / "data"


class SettingsError(Exception):
    """A variable that the service cannot start with; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every field is the variable of its name in capitals, behind COMMENTS_."""

    store: str = field(default_factory=lambda: f"sqlite:///{DATA / 'comments.db'}")
    """Where comments are kept: sqlite:///PATH (an absolute path has four slashes) or dynamodb://TABLE."""

    trusted_proxies: int = 0
    """How many proxies in front add to X-Forwarded-For: 0 means that the connection's address is the client's."""

    metrics: str = ""
    """The CloudWatch namespace of metrics in the log lines, such as comments/dev; none without."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the COMMENTS_ variables; raises SettingsError for an unknown one, since a typo would lose comments."""
        given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        known = {PREFIX + each.name.upper(): each.name for each in fields(cls)}
        for name in given:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                raise SettingsError(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ""))
        values: dict[str, str | int] = {known[name]: value for name, value in given.items()}
        if "trusted_proxies" in values:
            values["trusted_proxies"] = _count("COMMENTS_TRUSTED_PROXIES", str(values["trusted_proxies"]))
        if values.get("metrics"):
            _check_namespace(str(values["metrics"]))
        if "store" in values:
            _check_store(str(values["store"]))
        return cls(**values)  # type: ignore[arg-type]  # each value was checked under its own name above


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2):  # noqa: PLR2004  # two digits of proxies is more than anyone has
        raise SettingsError(f"{name} must be a number from 0 to 99, not {text!r}")
    return int(text)


def _check_namespace(name: str) -> None:
    if not re.fullmatch(r"(?!AWS/)[A-Za-z0-9._/#-]{1,255}", name):  # CloudWatch drops others unsaid
        raise SettingsError(f"COMMENTS_METRICS must be a CloudWatch namespace such as comments/dev, not {name!r}")


def _check_store(url: str) -> None:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"sqlite", "dynamodb"}:
        raise SettingsError(f"COMMENTS_STORE must be sqlite:///PATH or dynamodb://TABLE, not {url!r}")
    if scheme == "sqlite" and not (rest.startswith("/") and len(rest) > 1):
        raise SettingsError(f"COMMENTS_STORE names no file: write sqlite:///PATH, with three slashes, not {url!r}")
    if scheme == "dynamodb" and not rest:
        raise SettingsError("COMMENTS_STORE names no table: write dynamodb://TABLE")
