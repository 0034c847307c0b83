"""A JSON object, read field by field: everything that is wrong with it is told at once."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import jiter

from comments.errors import FieldError, InvalidRequest

Check = Callable[[Any], Any]
"""Returns a field's value as it is kept; raises ValueError, which says what is wrong with it."""

MAX_NAME = 100
"""Characters of an unknown field's name in an error."""


def read(body: bytes, checks: Mapping[str, Check], *, optional: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields' values; raises InvalidRequest, which names each wrong one, or the line of a syntax error."""
    try:
        given = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(FieldError(field="body", message=f"not valid JSON: {error}")) from None
    if not isinstance(given, dict):
        *names, last = checks
        message = f"must be a JSON object with {', '.join(names)} and {last}"
        raise InvalidRequest(FieldError(field="body", message=message))
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, check in checks.items():
        if name in given:
            try:
                values[name] = check(given[name])
            except ValueError as error:
                errors.append(FieldError(field=name, message=str(error)))
        elif name not in optional:
            errors.append(FieldError(field=name, message="is required"))
    for name in given:
        if name not in checks:
            shown = name[:MAX_NAME] or '""'  # a key may be empty, what names it may not
            errors.append(FieldError(field=shown, message="is not a field of a comment"))
    if errors:
        raise InvalidRequest(*errors)
    return values


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004  # a Check's error, whatever is wrong
    return value


def switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be a boolean")  # noqa: TRY004  # a Check's error, whatever is wrong
    return value
