"""AWS actions that MiniStack has none of, answered beside its own through its registry of service handlers."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.responses import error_response_json

from playground.server.patching import Record

Action = Callable[[Record], Any]


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
