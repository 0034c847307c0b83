"""Loaded by Schemathesis (SCHEMATHESIS_HOOKS)."""

from typing import Any
from urllib.parse import urlencode

import schemathesis


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # Schemathesis passes all three
    """Write integers in paths without a fraction: a content_id taken from a JSON body may be 7.0."""
    for name, value in case.path_parameters.items():
        if isinstance(value, float) and value.is_integer():
            case.path_parameters[name] = int(value)


@schemathesis.hook
def filter_query(context: schemathesis.HookContext, query: Any) -> bool:  # noqa: ARG001  # Schemathesis passes both
    """Leave out URLs that are too long for gunicorn, which responds with its own error page."""
    return len(urlencode(query or {})) < 8000
