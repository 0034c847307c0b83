"""JSON of requests, responses and files."""

from typing import Any

import jiter
import orjson
from flask import Response
from flask.json.provider import JSONProvider

from comments.errors import FieldError, InvalidRequest


def parse_json(data: str | bytes) -> Any:
    """Parse strictly: no duplicate keys, no NaN, no lone surrogates, bounded nesting. The error names the position."""
    try:
        return jiter.from_json(
            data.encode() if isinstance(data, str) else data, catch_duplicate_keys=True, allow_inf_nan=False
        )
    except ValueError as error:
        raise InvalidRequest(FieldError(field="body", message=f"is not valid JSON: {error}")) from None


class StrictJSON(JSONProvider):
    def loads(self, s: str | bytes, **_: Any) -> Any:
        return parse_json(s)

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(args[0] if args else kwargs), mimetype="application/json")
