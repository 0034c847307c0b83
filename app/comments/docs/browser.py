"""What the OpenAPI document says of the pages and of the files that browsers load."""

from comments.docs.parts import operation
from comments.docs.schemas import Json
from comments.settings import Settings

SAME = {"304": {"description": "as its ETag says it was"}}
FILE = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "pattern": r"^[a-z]+\.[a-z]+$"}}


def browser_paths(settings: Settings) -> Json:
    moderate = ({"200": _text("the page")}, ()) if settings.moderator_token else ({}, ("404",))
    return {
        "/": {"get": operation("home", "A page that shows a thread", {"200": _text("the page"), **SAME})},
        "/status": {"get": operation("status_page", "The status, for people", {"200": _text("the page")})},
        "/moderate": {"get": operation("moderate", "The moderator's desk", *moderate)},
        "/docs": {"get": operation("docs", "This document, for people", {"200": _text("the page"), **SAME})},
        "/embed.js": {
            "get": operation(
                "embed", "The thread, for a script tag in any page", {"200": _text("it", "text/javascript"), **SAME}
            )
        },
        "/static/{name}": {
            "get": operation(
                "file",
                "A file of the pages",
                {"200": _text("the file", "text/javascript", "text/css", "image/svg+xml"), **SAME},
                ("404",),
                parameters=[FILE],
            )
        },
    }


def _text(description: str, *types: str) -> Json:
    always = {"X-Request-Id": {"required": True, "schema": {"type": "string"}}}
    content = {kind: {"schema": {"type": "string"}} for kind in types or ("text/html",)}
    return {"description": description, "content": content, "headers": always}
