"""What can be set from outside: read once from the environment, wrong values refused by name."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

PREFIX = "COMMENTS_"
DATA = Path(__file__).resolve().parent.parent / "data"

MIN_TOKEN = 16
"""Characters of the moderator's token at the least: it can be guessed at from anywhere."""

ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?")


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

    moderator_token: str = field(default="", repr=False)
    """The bearer token of whoever approves and deletes; without one those routes do not exist."""

    moderation: bool = False
    """Whether a new comment is held until the moderator approves it."""

    emails: str = "show"
    """How lists give emails to everyone: show, mask or hide."""

    post_limit: str = ""
    """Posts from one client's address, such as 10/minute, counted by each worker on its own; none without."""

    cors_origins: tuple[str, ...] = ()
    """Whose pages may call the API from a browser: exact origins, or * alone."""

    status_thread: int | None = None
    """The content_id whose comments are the operator's messages on /status; only the moderator posts to it."""

    cpu_affinity: bool = False
    """Whether each worker keeps to one core: for a machine that serves nothing else, as a task on Fargate has."""

    commit: str = ""
    """The commit that the image was made of, for /status; the image sets it."""

    def __post_init__(self) -> None:
        if self.moderation and not self.moderator_token:
            raise SettingsError("COMMENTS_MODERATION is on, so set COMMENTS_MODERATOR_TOKEN: nobody could approve")
        if self.cpu_affinity and not hasattr(os, "sched_setaffinity"):
            raise SettingsError("COMMENTS_CPU_AFFINITY is on, but this system keeps no process on a core; leave it off")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the COMMENTS_ variables; raises SettingsError for an unknown one, since a typo would lose comments."""
        known = {PREFIX + each.name.upper(): each.name for each in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in environ.items():
            if name in known:
                values[known[name]] = _READERS[known[name]](name, text)
            elif name.startswith(PREFIX):
                close = get_close_matches(name, known, n=1)
                raise SettingsError(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ""))
        return cls(**values)


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text):
        raise SettingsError(f"{name} must be a number from 0 to 99, not {text!r}")
    return int(text)


def _namespace(name: str, text: str) -> str:
    if text and not re.fullmatch(r"(?!AWS/)[A-Za-z0-9._/#-]{1,255}", text):  # CloudWatch drops others unsaid
        raise SettingsError(f"{name} must be a CloudWatch namespace such as comments/dev, not {text!r}")
    return text


def _store(name: str, url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"sqlite", "dynamodb"}:
        raise SettingsError(f"{name} must be sqlite:///PATH or dynamodb://TABLE, not {url!r}")
    if scheme == "sqlite" and not (rest.startswith("/") and len(rest) > 1):
        raise SettingsError(f"{name} names no file: write sqlite:///PATH, with three slashes, not {url!r}")
    if scheme == "dynamodb" and not rest:
        raise SettingsError(f"{name} names no table: write dynamodb://TABLE")
    return url


def _token(name: str, text: str) -> str:
    """Check a secret, which no message may repeat."""
    if len(text) < MIN_TOKEN or not re.fullmatch(r"[!-~]+", text):
        raise SettingsError(f"{name} must have at least {MIN_TOKEN} visible ASCII characters and no space")
    return text


def _thread(name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,15}", text) or int(text) >= 2**53:
        raise SettingsError(f"{name} must be a content_id, a number from 1 to {2**53 - 1}, not {text!r}")
    return int(text)


def _commit(name: str, text: str) -> str:
    if not re.fullmatch(r"[0-9a-zA-Z._-]{0,64}", text):
        raise SettingsError(f"{name} must be a commit, such as 2763b140a0b9, not {text!r}")
    return text


def _switch(name: str, text: str) -> bool:
    return _choice("off", "on")(name, text) == "on"


def _choice(*choices: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in choices:
            raise SettingsError(f"{name} must be {' or '.join(choices)}, not {text!r}")
        return text

    return read


def _rate(name: str, text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,5}/(second|minute|hour|day)", text):
        raise SettingsError(f"{name} must be a number of posts in a time, such as 10/minute, not {text!r}")
    return text


def _origins(name: str, text: str) -> tuple[str, ...]:
    origins = tuple(text.replace(",", " ").split())
    if origins == ("*",):
        return origins
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            hint = "write https://HOST, in lower case and without a path, or * alone"
            raise SettingsError(f"{name} names {origin!r}, which is no origin: {hint}")
    return origins


_READERS: dict[str, Callable[[str, str], Any]] = {
    "store": _store,
    "trusted_proxies": _count,
    "metrics": _namespace,
    "moderator_token": _token,
    "moderation": _switch,
    "emails": _choice("show", "mask", "hide"),
    "post_limit": _rate,
    "cors_origins": _origins,
    "status_thread": _thread,
    "cpu_affinity": _switch,
    "commit": _commit,
}
