"""Loaded by Schemathesis (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis

MAX_PAGE = 500
"""Characters of a page in a URL. gunicorn responds to longer URLs with its own error page."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # Schemathesis passes all three
    """Write integers in paths without a fraction, as a content_id from a JSON body may be 7.0, and shorten pages."""
    for name, value in case.path_parameters.items():
        if isinstance(value, float) and value.is_integer():
            case.path_parameters[name] = int(value)
    page = case.query.get("page")
    if isinstance(page, str):
        case.query["page"] = page[:MAX_PAGE]
    if isinstance(page, list):
        case.query["page"] = [each[:MAX_PAGE] if isinstance(each, str) else each for each in page[:10]]
