"""How MiniStack is changed: one pinned version, and patches that each name the gap they close."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

from ministack.core.responses import request_scope

from playground.state import ACCOUNT, REGION

SUPPORTED = "1.5.33"

Record = dict[str, Any]
"""MiniStack keeps every AWS resource as a plain dictionary in the API's spelling."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Patch:
    """A function of MiniStack that is replaced, and what it lacks."""

    name: str
    gap: str


PATCHES: list[Patch] = []


def require_supported_version() -> None:
    """Patches are written against one version's internals: another one is refused, never half patched."""
    found = version("ministack")
    if found != SUPPORTED:
        raise SystemExit(
            f"the playground is written for ministack {SUPPORTED}, found {found}: "
            "install requirements-playground.txt, or review every patch in playground/ for the new version"
        )


def patch(owner: Any, name: str, *, gap: str) -> Callable[[F], F]:
    """Put the decorated function in the place of `owner.name`, or of `owner[name]` where the owner is a registry."""

    def apply(replacement: F) -> F:
        entries = owner if isinstance(owner, dict) else vars(owner)
        if name not in entries:
            raise SystemExit(f"ministack {SUPPORTED} has no {name} to patch ({gap})")
        entries[name] = replacement
        PATCHES.append(Patch(name, gap))
        return replacement

    return apply


def aws_scope() -> AbstractContextManager[None]:
    """Account and region for work that no request started: MiniStack's stores are scoped by both."""
    scope: AbstractContextManager[None] = request_scope(ACCOUNT, REGION)
    return scope
