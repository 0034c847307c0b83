"""Pages for people (/, /status, /moderate, /docs) and the files they load, embed.js among them."""

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

import flask_swagger_ui
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    make_response,
    render_template,
    request,
    send_from_directory,
    url_for,
)

from comments.api import settings

STATIC = Path(__file__).parent / "static"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

DAY = 24 * 60 * 60
YEAR = 365 * DAY
EMBED_MAX_AGE = 5 * 60
"""Seconds: the URL of embed.js never changes, so this is how long a site may run an old one."""

# No inline scripts or styles. Swagger UI's style sheet contains images as data: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

pages = Blueprint("pages", __name__)


@cache
def content_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@pages.app_template_global()
def asset(name: str) -> str:
    """Return the URL of a static file; it changes with the content."""
    return url_for("static", filename=name, v=content_hash(STATIC / name))


@pages.app_template_global()
def swagger_asset(name: str) -> str:
    return url_for("pages.swagger_ui", name=name, v=content_hash(SWAGGER_UI / name))


@pages.app_template_global()
def has_moderator() -> bool:
    return bool(settings().moderator_token.get_secret_value())


@pages.app_template_filter()
def moment(created_at: str) -> str:
    """Format a time for people: 24 November 2026, 09:37 UTC."""
    then = datetime.fromisoformat(created_at)
    return f"{then.day} {then:%B %Y, %H:%M} UTC"


@pages.after_app_request
def add_headers(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint in {"static", "pages.swagger_ui"} and response.status_code < 400:  # noqa: PLR2004  # HTTP: errors
        # During a deployment a new page may load a file from an old task: it must not be cached under the new URL.
        name = (request.view_args or {}).get("filename") or (request.view_args or {}).get("name", "")
        folder = STATIC if request.endpoint == "static" else SWAGGER_UI
        path = folder / name
        is_current = "v" in request.args and path.is_file() and request.args["v"] == content_hash(path)
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if is_current else "no-cache"
    return response


def page(template: str, **values: object) -> Response:
    """Render a page that the browser revalidates on each visit."""
    response = make_response(render_template(template, **values))
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@pages.get("/")
def home() -> Response:
    return page("home.html")


@pages.get("/docs")
def docs() -> Response:
    return page("docs.html")


@pages.get("/status")
def status() -> Response:
    response = make_response(render_template("status.html", **current_app.extensions["status"].read()))
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/moderate")
def moderate() -> Response:
    """Show the page that asks for the token; it contains nothing secret."""
    if not has_moderator():
        abort(404, "there is no moderator: COMMENTS_MODERATOR_TOKEN is not set")
    response = make_response(render_template("moderate.html"))
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/embed.js")
def embed() -> Response:
    """Serve the script that other sites load."""
    response = send_from_directory(STATIC, "embed.js")
    response.headers["Cache-Control"] = f"public, max-age={EMBED_MAX_AGE}, stale-while-revalidate={DAY}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    # Sites can pin the script with `integrity`, which needs `crossorigin` and this header.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@pages.get("/docs/<path:name>")
def swagger_ui(name: str) -> Response:
    """Serve Swagger UI's own files."""
    return send_from_directory(SWAGGER_UI, name)
