"""Patches MiniStack at one pinned version; each patch documents the gap it closes."""

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any, TypeVar

from ministack import app
from ministack.core.responses import error_response_json, request_scope

from playground.state import ACCOUNT, REGION, Playground

SUPPORTED = "1.5.33"

Record = dict[str, Any]
"""An AWS resource, which MiniStack stores as a plain dictionary with the API's key names."""
Action = Callable[[Record], Any]
F = TypeVar("F", bound=Callable[..., Any])


SETTINGS = Playground.from_environment()
"""The playground of this server."""


PATCHES: list[str] = []
"""Names of the replaced functions."""


def require_supported_version() -> None:
    """Exit if another version of MiniStack is installed, since the patches depend on one version's internals."""
    found = version("ministack")
    if found != SUPPORTED:
        raise SystemExit(
            f"the playground is written for ministack {SUPPORTED}, found {found}: "
            "install requirements-playground.txt, or review every patch in playground/ for the new version"
        )


require_supported_version()


def patch(owner: Any, name: str, *, gap: str) -> Callable[[F], F]:
    """Replace `owner.name`, or `owner[name]` if `owner` is a dictionary, with the decorated function.

    Exits if the function doesn't exist or has different parameters.
    """

    def apply(replacement: F) -> F:
        entries = owner if isinstance(owner, dict) else vars(owner)
        if name not in entries:
            raise SystemExit(f"ministack {SUPPORTED} has no {name} to patch ({gap})")
        wanted, given = inspect.signature(entries[name]), inspect.signature(replacement)
        if not _accepts(given, wanted):
            raise SystemExit(f"ministack {SUPPORTED} has {name}{wanted}, but the patch has {name}{given} ({gap})")
        entries[name] = replacement
        PATCHES.append(name)
        return replacement

    return apply


def _accepts(given: inspect.Signature, wanted: inspect.Signature) -> bool:
    """Whether a replacement has the original's parameters, in name and order, up to its first `*` or `**`."""
    theirs = list(wanted.parameters.values())
    ours = [each for each in given.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    takes_the_rest = len(ours) < len(given.parameters)
    names = [each.name.lstrip("_") for each in theirs]
    if [each.name.lstrip("_") for each in ours] != names[: len(ours)]:
        return False
    return takes_the_rest or len(ours) == len(theirs)


def aws_scope() -> AbstractContextManager[None]:
    """Set the account and region for background work; MiniStack's stores are scoped by both."""
    scope: AbstractContextManager[None] = request_scope(ACCOUNT, REGION)
    return scope


def extend(service: str, actions: Mapping[str, Action]) -> None:
    """Handle `actions` of a JSON-protocol service, and pass all other actions to MiniStack."""
    stock = app.SERVICE_HANDLERS[service]

    async def handle(method: str, path: str, headers: Record, body: bytes, query: Record) -> Any:
        action = actions.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if action:
            try:
                return action(json.loads(body or b"{}"))
            except ValueError as error:
                return error_response_json("InvalidParameterException", str(error), 400)
        return await stock(method, path, headers, body, query)

    app.SERVICE_HANDLERS[service] = handle
