"""Loaded by Schemathesis (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # Schemathesis passes all three
    """Write integers in paths without a fraction: a content_id taken from a JSON body may be 7.0."""
    for name, value in case.path_parameters.items():
        if isinstance(value, float) and value.is_integer():
            case.path_parameters[name] = int(value)
