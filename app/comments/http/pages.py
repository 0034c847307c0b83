"""HTML pages (/, /status, /moderate, /docs), embed.js and counts.js, and the files of Swagger UI."""

import gzip
import re
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from comments.errors import NotFound
from comments.http.web import settings

STATIC = Path(__file__).parent / "static"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

# No inline scripts or styles. Swagger UI's style sheet contains images as data: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

# Like Flask's own static files, browsers revalidate Swagger UI's by ETag.
pages = Blueprint("pages", __name__, static_folder=SWAGGER_UI, static_url_path="/docs")
pages.add_url_rule("/docs", "docs", partial(render_template, "docs.html"))


@pages.get("/")
def home() -> ResponseReturnValue:
    if not request.environ["PATH_INFO"]:  # under SCRIPT_NAME, without the slash that relative URLs need
        return redirect(f"{request.script_root}/")
    return render_template("home.html")


@pages.app_template_global()
def has_moderator() -> bool:
    return bool(settings().moderator_token.get_secret_value())


@pages.app_template_filter()
def moment(created_at: str) -> str:
    """Format a timestamp for display: 24 November 2026, 09:37 UTC."""
    then = datetime.fromisoformat(created_at)
    return f"{then.day} {then:%B %Y, %H:%M} UTC"


@pages.after_app_request
def add_headers(response: Response) -> Response:
    if response.mimetype == "text/html" and request.method != "OPTIONS":
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-cache"
        response.add_etag()
        response.make_conditional(request)
    return response


@pages.get("/status")
def status() -> str:
    return render_template("status.html", **current_app.extensions["status"].read())


@pages.get("/moderate")
def moderate() -> str:
    """Serve the moderation page. It asks for the token and contains no secrets."""
    if not has_moderator():
        raise NotFound("moderation is disabled: COMMENTS_MODERATOR_TOKEN is not set")
    return render_template("moderate.html")


@cache
def widget(name: str, *, compressed: bool) -> bytes:
    """Return a file of the widget without indentation and comments, which are a seventh of its compressed size."""
    content = re.sub(rb"^ *(//.*)?", b"", (STATIC / name).read_bytes(), flags=re.MULTILINE)
    return gzip.compress(content, mtime=0) if compressed else content


@pages.get("/<any('embed.js', 'counts.js'):name>")
@pages.get("/embed/<any(de, es, fr, pt):language>.json")
def embed(name: str = "", language: str = "") -> Response:
    """Serve the scripts that other sites load, and the translations that they load."""
    compressed = request.accept_encodings["gzip"] > 0
    mimetype = "application/json" if language else "text/javascript"
    response = Response(widget(name or f"embed/{language}.json", compressed=compressed), mimetype=mimetype)
    if compressed:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    # Browsers may run a cached copy for five minutes without revalidating it.
    response.headers["Cache-Control"] = "public, max-age=300, stale-while-revalidate=86400"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    # Sites can pin the script with `integrity`, which needs `crossorigin` and this header.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.add_etag()
    response.make_conditional(request)
    return response
