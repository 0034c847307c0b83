"""How MiniStack is changed: one pinned version, and patches that each name the gap they close."""

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

from ministack import app
from ministack.core import router
from ministack.core.responses import error_response_json, request_scope

from playground.state import ACCOUNT, REGION, Playground, port_from_environment

SUPPORTED = "1.5.33"

Record = dict[str, Any]
"""MiniStack keeps every AWS resource as a plain dictionary in the API's spelling."""
Action = Callable[[Record], Any]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Settings(Playground):
    """The playground that this server serves, and where DynamoDB's engine listens."""

    dynamodb_port: int


def _settings() -> Settings:
    playground = Playground.from_environment()
    return Settings(
        folder=playground.folder,
        gateway_port=playground.gateway_port,
        balancer_port=playground.balancer_port,
        dynamodb_port=port_from_environment("PLAYGROUND_DYNAMODB_PORT", 8000),
    )


SETTINGS = _settings()


@dataclass(frozen=True)
class Patch:
    """A function of MiniStack that is replaced, and what it lacks."""

    name: str
    gap: str


PATCHES: list[Patch] = []


def require_supported_version() -> None:
    """Stop if another version of MiniStack is installed: patches are written against one version's internals."""
    found = version("ministack")
    if found != SUPPORTED:
        raise SystemExit(
            f"the playground is written for ministack {SUPPORTED}, found {found}: "
            "install requirements-playground.txt, or review every patch in playground/ for the new version"
        )


require_supported_version()


def patch(owner: Any, name: str, *, gap: str) -> Callable[[F], F]:
    """Replace `owner.name`, or `owner[name]` of a registry, with the decorated function, which takes the same."""

    def apply(replacement: F) -> F:
        entries = owner if isinstance(owner, dict) else vars(owner)
        if name not in entries:
            raise SystemExit(f"ministack {SUPPORTED} has no {name} to patch ({gap})")
        wanted, given = inspect.signature(entries[name]), inspect.signature(replacement)
        if not _accepts(given, wanted):
            raise SystemExit(f"ministack {SUPPORTED} has {name}{wanted}, the playground replaces {name}{given} ({gap})")
        entries[name] = replacement
        PATCHES.append(Patch(name, gap))
        return replacement

    return apply


def _accepts(given: inspect.Signature, wanted: inspect.Signature) -> bool:
    """Whether a replacement has the parameters of the original by name and order, up to its first `*` or `**`."""
    theirs = list(wanted.parameters.values())
    ours = [each for each in given.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    takes_the_rest = len(ours) < len(given.parameters)
    names = [each.name.lstrip("_") for each in theirs]
    if [each.name.lstrip("_") for each in ours] != names[: len(ours)]:
        return False
    return takes_the_rest or len(ours) == len(theirs)


def aws_scope() -> AbstractContextManager[None]:
    """Account and region for work that no request started: MiniStack's stores are scoped by both."""
    scope: AbstractContextManager[None] = request_scope(ACCOUNT, REGION)
    return scope


def extend(service: str, target_prefix: str, actions: Mapping[str, Action]) -> None:
    """Answer `actions` of a JSON-protocol service here, everything else as before."""
    stock = app.SERVICE_HANDLERS.get(service)

    async def handle(method: str, path: str, headers: Record, body: bytes, query: Record) -> Any:
        prefix, _, name = headers.get("x-amz-target", "").rpartition(".")
        if prefix.startswith(target_prefix) and name in actions:
            try:
                return actions[name](json.loads(body or b"{}"))
            except ValueError as error:
                return error_response_json("InvalidParameterException", str(error), 400)
        if stock is None:
            return error_response_json("InvalidAction", f"the playground has no {service} action {name}", 400)
        return await stock(method, path, headers, body, query)

    app.SERVICE_HANDLERS[service] = handle


def route(service: str, target_prefix: str) -> None:
    """Send requests with this target prefix to `service`, which MiniStack does not know."""
    router.SERVICE_PATTERNS[service] = {
        "target_prefixes": [target_prefix],
        "host_patterns": [rf"^{service}\."],
        "credential_scope": service,
    }
