"""The API: parse, call the store, answer."""

from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from comments.errors import ThreadNotFound, UnsupportedMedia, json_response
from comments.models import NewComment, parse_after, parse_content_id, parse_limit
from comments.store import CommentStore

MAX_BODY = 64 * 1024
"""Bytes of a request's body: 10,000 characters escaped in six bytes each, and the rest, fit."""

api = Blueprint("api", __name__)
health = Blueprint("health", __name__)


def store() -> CommentStore:
    opened: CommentStore = current_app.extensions["store"]
    return opened


@api.post("/comment/new")
def new() -> Response:
    comment = store().add(NewComment.parse(json_body()))
    message = f"comment created and associated with content_id {comment['content_id']}"
    return json_response({"status": "SUCCESS", "message": message, "id": comment["id"]})


@api.get("/comment/list/<content_id>")
def list_comments(content_id: str) -> Response:
    thread = parse_content_id(content_id)
    after = parse_after(request.args.get("after"))
    limit = parse_limit(request.args.get("limit"))
    page = store().list_page(thread, after=after, limit=limit)
    if not page.comments and after is None:
        raise ThreadNotFound(thread)
    response = json_response(page.comments)
    if page.more:
        query = urlencode({"limit": limit, "after": page.comments[-1]["id"]})
        response.headers["Link"] = f'</api/comment/list/{thread}?{query}>; rel="next"'
    return response


@health.get("/healthz")
def healthz() -> Response:
    """Say that the process is alive, without the store: its hiccup must not replace every task."""
    return json_response({"status": "OK"})


def json_body() -> bytes:
    if request.mimetype != "application/json":
        given = request.mimetype or "nothing"
        raise UnsupportedMedia(f"the Content-Type must be application/json, not {given}")
    if (request.content_length or 0) > MAX_BODY:
        raise RequestEntityTooLarge(f"the body must have at most {MAX_BODY} bytes")
    body = request.stream.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise RequestEntityTooLarge(f"the body must have at most {MAX_BODY} bytes")
    return body
