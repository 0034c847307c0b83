"""The API: parse, call the store, answer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge

from comments.errors import FieldError, InvalidRequest, ThreadNotFound, UnsupportedMedia, json_response
from comments.models import Comment, NewComment, parse_after, parse_content_id, parse_idempotency_key, parse_limit
from comments.moderator import is_moderator, require_moderator
from comments.settings import Settings
from comments.store import CommentStore
from comments.telemetry import CLIENT

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_BODY = 64 * 1024
"""Bytes of a request's body: 10,000 characters escaped in six bytes each, and the rest, fit."""

NOTHING: Mapping[str, str] = MappingProxyType({})
"""The parameters of an address without any, which Flask would spend a tenth of a list's time on to parse."""

api = Blueprint("api", __name__)
health = Blueprint("health", __name__)


def store() -> CommentStore:
    opened: CommentStore = current_app.extensions["store"]
    return opened


@api.post("/comment/new")
def new() -> Response:
    environ, known = request.environ, current_app.extensions
    known["post_limit"].count(environ.get(CLIENT, ""))
    key = parse_idempotency_key(environ.get("HTTP_IDEMPOTENCY_KEY"))
    comment = NewComment.parse(json_body(environ))
    settings: Settings = known["settings"]
    if comment.content_id == settings.status_thread:
        require_moderator()
    held = settings.moderation and not is_moderator()
    return created(store().add(comment, idempotency_key=key, held=held))


@api.get("/comment/list/<content_id>")
def list_comments(content_id: str) -> Response:
    thread = parse_content_id(content_id)
    given = request.args if request.query_string else NOTHING
    after = parse_after(given.get("after"))
    limit = parse_limit(given.get("limit"))
    page = store().list_page(thread, after=after, limit=limit)
    if not page.comments and after is None:
        raise ThreadNotFound(thread)
    response = json_response(current_app.extensions["shown"](page.comments))
    if page.more:
        query = urlencode({"limit": limit, "after": page.comments[-1]["id"]})
        response.headers["Link"] = f'</api/comment/list/{thread}?{query}>; rel="next"'
    return response


@health.get("/healthz")
def healthz() -> Response:
    """Say that the process is alive, without the store: its hiccup must not replace every task."""
    return json_response({"status": "OK"})


def created(comment: Comment) -> Response:
    """Answer a post, the first time and every retry alike: what is held is accepted, not there yet."""
    where = f"content_id {comment['content_id']}"
    if comment.get("held"):
        body = {"status": "HELD", "message": f"comment held for approval before it is listed in {where}"}
        return json_response(body | {"id": comment["id"]}, 202)
    body = {"status": "SUCCESS", "message": f"comment created and associated with {where}"}
    return json_response(body | {"id": comment["id"]})


def json_body(environ: "WSGIEnvironment") -> bytes:
    """Read the body past Flask, which takes ten times as long to find out that the server hands it over whole."""
    given = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise UnsupportedMedia(f"the Content-Type must be application/json, not {given or 'nothing'}")
    length = environ.get("CONTENT_LENGTH")  # gunicorn has refused what is no number; in chunks comes a body without one
    if length and int(length) > MAX_BODY:
        raise RequestEntityTooLarge(f"the body must have at most {MAX_BODY} bytes")
    try:
        body: bytes = environ["wsgi.input"].read(int(length) if length else MAX_BODY + 1)
    except (OSError, ParseException):  # gunicorn's, while it reads: a broken chunk, or a client that went away
        message = "ends early, or its transfer coding is broken"
        raise InvalidRequest(FieldError(field="body", message=message)) from None
    if len(body) > MAX_BODY:
        raise RequestEntityTooLarge(f"the body must have at most {MAX_BODY} bytes")
    return body
