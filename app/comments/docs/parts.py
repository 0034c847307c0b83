"""What the operations of the OpenAPI document are made of: parameters, answers and refusals."""

from typing import Any

from comments.docs.schemas import ID_PATTERN, SCHEMAS, Json, ref
from comments.models import MAX_CONTENT_ID, MAX_PAGE

REFUSED = {
    "400": "the request is wrong; `errors` names each field",
    "401": "the moderator's token is missing or wrong",
    "404": "there is no such thing",
    "413": "the body has more than 65,536 bytes",
    "414": "the request line is too long",
    "415": "the body is not application/json",
    "417": "this Expect header is not known",
    "422": "another comment came under this Idempotency-Key within 24 hours",
    "429": "this address has posted as often as it may",
    "431": "a header is too long, or there are too many",
    "500": "an unexpected error, whose cause is in the service's log",
    "501": "this transfer coding is not known",
    "503": "the store cannot answer right now; nothing is known to be lost",
}
ANYTIME = ("400", "414", "417", "431", "500", "501")
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


def operation(name: str, summary: str, answers: Json, refusals: tuple[str, ...] = (), **more: Any) -> Json:
    errors = {code: {"$ref": f"#/components/responses/{code}"} for code in sorted({*ANYTIME, *refusals})}
    return {"operationId": name, "summary": summary, **more, "responses": {**answers, **errors}}


def answer(description: str, schema: Json, headers: Json | None = None) -> Json:
    described: Json = {"description": description, "content": {"application/json": {"schema": schema}}}
    always: Json = {"X-Request-Id": {"required": True, "schema": {"type": "string"}}}
    return described | {"headers": always | (headers or {})}


def one(schema: str) -> Json:
    return answer(SCHEMAS[schema]["description"], ref(schema))


def link(operation: str, **parameters: str) -> Json:
    return {"operationId": operation, "parameters": parameters}
