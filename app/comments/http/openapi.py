"""Additions to the generated OpenAPI document: error responses, headers, and the types of path variables."""

from typing import Any

from apiflask import APIFlask

from comments.config import Settings
from comments.errors import ERRORS
from comments.fields import PATH_VARIABLES
from comments.http.schemas import Error, Held

DESCRIPTION = (
    "Post, list and moderate comments. Each `content_id` identifies one thread. All errors share one JSON format,"
    " `Error`. On AWS, the load balancer can also respond with 502, 503 or 504 (HTML), AWS WAF with 403 or 429 (an"
    " `Error` without `Retry-After`), and every route with 429 while DynamoDB throttles the table."
)


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {name: {"description": description, "required": True, "schema": {"type": "string"} | schema}}


DIFFERENT_FOR_MODERATORS = {"createComment", "listComments", "listCommentsOfPage", "getComment", "editComment"}
"""Operations that anyone may use, and that do or show more with the moderator token."""

_RETRY = _header("Retry-After", "Seconds to wait before a retry.", type="integer", minimum=1)
_HEADERS = {401: _header("WWW-Authenticate", "How to authenticate.", const="Bearer"), 429: _RETRY, 503: _RETRY}
REQUEST_ID = _header("X-Request-Id", "Also in the request's log line.")
LOCATION = _header("Location", "URL of the comment.")
LINK = _header(
    "Link",
    '`rel="next"`: URL of the next page, as long as there is one. `rel="monitor"`: URL to request later, for new'
    " comments. Both are relative to the URL of the request.",
)
LINK["Link"]["required"] = False  # the last page, newest first, has none
ETAG = _header("ETag", "Identifies this state of the page.")


def content(schema: str) -> dict[str, Any]:
    """Describe a JSON body by the name of its schema."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def responses(*codes: int, ok: dict[str, Any] | None = None) -> dict[int, Any]:
    """Describe error responses, for `doc(responses=…)`. `ok` are the headers of the 200 response."""
    described: dict[int, Any] = {200: {"headers": ok}} if ok else {}
    for code in (400, 401, *codes, 500):
        _, description = ERRORS[code]
        described[code] = {"description": description, "content": content("Error"), "headers": _HEADERS.get(code, {})}
    return described


def init_app(app: APIFlask, settings: Settings) -> None:
    app.config |= {
        "DESCRIPTION": DESCRIPTION,
        "AUTO_404_RESPONSE": False,
        "AUTO_VALIDATION_ERROR_RESPONSE": False,
        "AUTO_AUTH_ERROR_RESPONSE": False,
        "AUTO_SERVERS": False,
        "SERVERS": [{"url": ".", "description": "Where this document is served."}],
    }
    is_possible = {"202": settings.hold, "429": settings.post_limit}
    different = DIFFERENT_FOR_MODERATORS if settings.moderator_token.get_secret_value() else set()

    @app.spec_processor
    def complete(spec: Any) -> Any:
        for model in (Error, Held):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            spec["components"]["schemas"] |= schema.pop("$defs", {}) | {model.__name__: schema}
        for path in spec["paths"].values():
            for operation in path.values():
                _complete(operation)
                described = operation["responses"].items()
                operation["responses"] = {code: each for code, each in described if is_possible.get(code, True)}
                if operation.get("operationId") in different:
                    operation["security"] = [{}, {"moderator": []}]  # optional
        return spec


def _complete(operation: dict[str, Any]) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            parameter["schema"] = PATH_VARIABLES[parameter["name"]].json_schema()
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()
        if description := parameter["schema"].pop("description", None):
            parameter["description"] = description
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    for response in operation["responses"].values():
        response["headers"] = {**REQUEST_ID, **response.get("headers", {})}
