"""Loaded by Schemathesis (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis

MAX_PAGE = 500
"""Characters of a parameter in a URL. gunicorn responds to longer URLs with its own error page."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # Schemathesis passes all three
    """Write integers in paths without a fraction, as one from a JSON body may be 7.0, and shorten long parameters."""
    for name, value in case.path_parameters.items():
        if isinstance(value, float) and value.is_integer():
            case.path_parameters[name] = int(value)
    for name in {"content_id", "page"} & case.query.keys():
        value = case.query[name]
        if isinstance(value, list):
            case.query[name] = [each if isinstance(each, int) else str(each)[: MAX_PAGE // 10] for each in value[:10]]
        elif isinstance(value, str):
            case.query[name] = value[:MAX_PAGE]
