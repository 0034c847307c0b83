"""What schemathesis is told of the wire; it loads this by SCHEMATHESIS_HOOKS."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # its signature
    """Write a whole number as one in a path: what it took from a JSON body may be 7.0, which is 7 there."""
    for name, value in (case.path_parameters or {}).items():
        if isinstance(value, float) and value.is_integer():
            case.path_parameters[name] = int(value)
