"""The OpenAPI document: every route, and every answer that it can give with these settings."""

import functools

from comments.docs.browser import SAME, browser_paths
from comments.docs.parts import (
    CONTENT_ID,
    HEADERS,
    ID,
    IDEMPOTENCY_KEY,
    NEXT_PAGE,
    PAGING,
    REFUSED,
    TOKEN,
    answer,
    link,
    one,
    operation,
)
from comments.docs.schemas import SCHEMAS, Json, array, ref
from comments.settings import Settings
from comments.web.runtime import VERSION

DESCRIPTION = """
Comments by article. Whatever is not a success has one body, `Error`; before the service, a load balancer may answer
502, 503 and 504 in HTML, and a web ACL 403 and 429 with the same `Error`.
""".strip().replace("\n", " ")


@functools.cache
def document(settings: Settings) -> Json:
    """Describe the service as it is set: what a setting switches off is not there."""
    paths = {
        "/api/comment/new": {"post": _post(settings)},
        "/api/comment/list/{content_id}": {
            "get": operation(
                "list",
                "List a thread in the order of its ids",
                {"200": answer("a page of comments", array(ref("Comment")), NEXT_PAGE)},
                ("404", "503"),
                parameters=[CONTENT_ID, *PAGING],
            )
        },
        "/api/status": {"get": operation("status", "What runs, and whether the store answers", {"200": one("Status")})},
        "/healthz": {"get": operation("healthz", "Whether the process is alive", {"200": one("Alive")})},
        "/openapi.json": {
            "get": operation(
                "openapi",
                "This document",
                {"200": answer("OpenAPI 3.1", {"type": "object"}), **SAME},
            )
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Comments", "version": VERSION, "description": DESCRIPTION},
        "paths": paths | (_moderation() if settings.moderator_token else {}) | browser_paths(settings),
        "components": {
            "schemas": SCHEMAS,
            "responses": {code: answer(text, ref("Error"), HEADERS.get(code)) for code, text in REFUSED.items()},
            "securitySchemes": {"moderator": TOKEN},
        },
    }


def _post(settings: Settings) -> Json:
    links = {"list": link("list", content_id="$request.body#/content_id")}
    if settings.moderator_token:
        which = {"content_id": "$request.body#/content_id", "id": "$response.body#/id"}
        links |= {name: link(name, **which) for name in ("approve", "delete")}
    answers = {"200": one("Created") | {"links": links}}
    if settings.moderation:
        answers["202"] = one("Held") | {"links": links}
    return operation(
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
        requestBody={"required": True, "content": {"application/json": {"schema": ref("NewComment")}}},
    )


def _moderation() -> Json:
    security: list[Json] = [{"moderator": []}]
    refusals = ("401", "404", "503")
    return {
        "/api/moderation/held": {
            "get": operation(
                "held",
                "List what waits for approval, of all threads",
                {"200": answer("a page of comments", array(ref("HeldComment")), NEXT_PAGE)},
                ("401", "503"),
                parameters=[*PAGING],
                security=security,
            )
        },
        "/api/moderation/{content_id}/{id}/approve": {
            "post": operation(
                "approve",
                "Let a comment be listed, under the id it has",
                {"200": one("Done")},
                refusals,
                parameters=[CONTENT_ID, ID],
                security=security,
            )
        },
        "/api/comment/{content_id}/{id}": {
            "delete": operation(
                "delete",
                "Remove a comment for good, listed or held",
                {"200": one("Done")},
                refusals,
                parameters=[CONTENT_ID, ID],
                security=security,
            )
        },
    }


def operations(described: Json) -> list[Json]:
    """Return the document's operations in a row, for the page, each with what its answers mean."""
    shared = described["components"]["responses"]
    return [
        {
            **each,
            "method": method.upper(),
            "path": path,
            "answers": {
                code: given.get("description") or shared[code]["description"]
                for code, given in each["responses"].items()
            },
        }
        for path, methods in described["paths"].items()
        for method, each in methods.items()
    ]
