"""The OpenAPI document: every route, and every answer that it can give with these settings."""

import functools
from typing import Any

from comments.docs.schemas import ID_PATTERN, components
from comments.models import MAX_CONTENT_ID, MAX_PAGE
from comments.settings import Settings
from comments.web.runtime import VERSION

Json = dict[str, Any]

DESCRIPTION = """
Comments by article. Whatever is not a success has one body, `Error`; before the service, a load balancer may answer
502, 503 and 504 in HTML, and a web ACL 403 and 429 with the same `Error`.
""".strip().replace("\n", " ")

REFUSED = {
    "400": "the request is wrong; `errors` names each field",
    "401": "the moderator's token is missing or wrong",
    "404": "there is no such thing",
    "413": "the body has more than 65,536 bytes",
    "414": "the request line is too long",
    "415": "the body is not application/json",
    "422": "another comment came under this Idempotency-Key within 24 hours",
    "429": "this address has posted as often as it may",
    "431": "a header is too long, or there are too many",
    "500": "an unexpected error, whose cause is in the service's log",
    "501": "this transfer coding is not known",
    "503": "the store cannot answer right now; nothing is known to be lost",
}
ANYTIME = ("400", "414", "431", "500", "501")
"""What the server may answer before it has looked at the route."""

WAIT = {"Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}}
HEADERS = {
    "401": {"WWW-Authenticate": {"required": True, "schema": {"type": "string", "const": "Bearer"}}},
    "429": WAIT,
    "503": WAIT,
}
NEXT_PAGE = {"Link": {"description": 'the next page: `<…>; rel="next"`', "schema": {"type": "string"}}}

CONTENT_ID = {
    "name": "content_id",
    "in": "path",
    "required": True,
    "description": "the article",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_CONTENT_ID},
}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": ID_PATTERN}}
PAGING = (
    {
        "name": "limit",
        "in": "query",
        "description": "comments in a page at the most; it may be shorter",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": MAX_PAGE},
    },
    {
        "name": "after",
        "in": "query",
        "description": "the id behind which the page begins",
        "schema": {"type": "string", "pattern": ID_PATTERN},
    },
)
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same for each retry of a comment: within 24 hours it is stored once and answered alike",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255},
}
TOKEN = {"type": "http", "scheme": "bearer", "description": "the moderator's token"}


@functools.cache
def document(settings: Settings) -> Json:
    """Describe the service as it is set: what a setting switches off is not there."""
    paths = {
        "/api/comment/new": {"post": _post(settings)},
        "/api/comment/list/{content_id}": {
            "get": _operation(
                "list",
                "List a thread in the order of its ids",
                {"200": _answer("a page of comments", _array("Comment"), NEXT_PAGE)},
                ("404", "503"),
                parameters=[CONTENT_ID, *PAGING],
            )
        },
        "/api/status": {
            "get": _operation("status", "What runs, and whether the store answers", {"200": _one("Status")})
        },
        "/healthz": {"get": _operation("healthz", "Whether the process is alive", {"200": _one("Alive")})},
        "/openapi.json": {
            "get": _operation("openapi", "This document", {"200": _answer("OpenAPI 3.1", {"type": "object"})})
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Comments", "version": VERSION, "description": DESCRIPTION},
        "paths": paths | (_moderation() if settings.moderator_token else {}),
        "components": {
            "schemas": components(),
            "responses": {code: _answer(text, _ref("Error"), HEADERS.get(code)) for code, text in REFUSED.items()},
            "securitySchemes": {"moderator": TOKEN},
        },
    }


def _post(settings: Settings) -> Json:
    links = {"list": _link("list", content_id="$request.body#/content_id")}
    if settings.moderator_token:
        which = {"content_id": "$request.body#/content_id", "id": "$response.body#/id"}
        links |= {name: _link(name, **which) for name in ("approve", "delete")}
    answers = {"200": _one("Created") | {"links": links}}
    if settings.moderation:
        answers["202"] = _one("Held") | {"links": links}
    return _operation(
        "new",
        "Comment on an article",
        answers,
        (
            *(("401",) if settings.status_thread else ()),
            *("413", "415", "422"),
            *(("429",) if settings.post_limit else ()),
            "503",
        ),
        parameters=[IDEMPOTENCY_KEY],
        requestBody={"required": True, "content": {"application/json": {"schema": _ref("NewComment")}}},
    )


def _moderation() -> Json:
    security: list[Json] = [{"moderator": []}]
    refusals = ("401", "404", "503")
    return {
        "/api/moderation/held": {
            "get": _operation(
                "held",
                "List what waits for approval, of all threads",
                {"200": _answer("a page of comments", _array("HeldComment"), NEXT_PAGE)},
                ("401", "503"),
                parameters=[*PAGING],
                security=security,
            )
        },
        "/api/moderation/{content_id}/{id}/approve": {
            "post": _operation(
                "approve",
                "Let a comment be listed, under the id it has",
                {"200": _one("Done")},
                refusals,
                parameters=[CONTENT_ID, ID],
                security=security,
            )
        },
        "/api/comment/{content_id}/{id}": {
            "delete": _operation(
                "delete",
                "Remove a comment for good, listed or held",
                {"200": _one("Done")},
                refusals,
                parameters=[CONTENT_ID, ID],
                security=security,
            )
        },
    }


def _operation(name: str, summary: str, answers: Json, refusals: tuple[str, ...] = (), **more: Any) -> Json:
    errors = {code: {"$ref": f"#/components/responses/{code}"} for code in sorted({*ANYTIME, *refusals})}
    return {"operationId": name, "summary": summary, **more, "responses": {**answers, **errors}}


def _answer(description: str, schema: Json, headers: Json | None = None) -> Json:
    answer: Json = {"description": description, "content": {"application/json": {"schema": schema}}}
    always: Json = {"X-Request-Id": {"required": True, "schema": {"type": "string"}}}
    return answer | {"headers": always | (headers or {})}


def _one(schema: str) -> Json:
    return _answer(components()[schema]["description"], _ref(schema))


def _link(operation: str, **parameters: str) -> Json:
    return {"operationId": operation, "parameters": parameters}


def _array(schema: str) -> Json:
    return {"type": "array", "items": _ref(schema)}


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def operations(described: Json) -> list[Json]:
    """Return the document's operations in a row, for the page, each with what its answers mean."""
    shared = described["components"]["responses"]
    return [
        {
            **operation,
            "method": method.upper(),
            "path": path,
            "answers": {
                code: answer.get("description") or shared[code]["description"]
                for code, answer in operation["responses"].items()
            },
        }
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
