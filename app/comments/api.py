"""Public routes: post a comment, list a thread, get one comment, status and health."""

import posixpath
from collections.abc import Callable, Sequence
from typing import Any

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, request

from comments import ids, paging, web
from comments.errors import NotFound, Unauthorized
from comments.openapi import ETAG, LINK, LOCATION, content, responses
from comments.schemas import (
    Comment,
    CommentList,
    CommentOut,
    Health,
    NewComment,
    PageQuery,
    Published,
    RequestHeaders,
    Status,
    ThreadQuery,
)
from comments.status import StatusBoard
from comments.stores import Page
from comments.web import is_moderator, settings, store

api = APIBlueprint("api", __name__, tag="Comments")
web.init_blueprint(api)


def redact_emails(comments: Sequence[Comment]) -> list[Any]:
    """Show, mask or hide email addresses as configured. A masked address keeps its first character and its domain."""
    emails = settings().emails
    if emails == "show":
        return list(comments)
    redacted: list[Any] = [dict(comment) for comment in comments]
    for comment in redacted:
        local_part, _, domain = comment.pop("email").partition("@")
        if emails == "mask":
            comment["email"] = f"{local_part[0]}***@{domain}"
    return redacted


_IDS = {"content_id": "$response.body#/content_id", "comment_id": "$response.body#/id"}
LINKS = {
    "comment": {"operationId": "getComment", "parameters": _IDS},
    "thread": {"operationId": "listComments", "parameters": {"content_id": _IDS["content_id"]}},
}
MOVED = {
    "description": "The comment was approved and has a new id.",
    "content": content("CommentOut"),
    "headers": LOCATION,
}
HELD = {"description": "The comment is stored and awaits approval.", "content": content("Held")}


@api.post("/api/comment/new")
@web.receives_json
@api.input(NewComment, arg_name="new")
@api.input(RequestHeaders, location="headers", arg_name="headers")
@api.output(Published, description="The comment is published.", links=LINKS)
@api.doc(
    operation_id="createComment",
    responses={202: HELD} | responses(408, 413, 415, 422, 429, 503, ok=LOCATION),
)
def create_comment(new: NewComment, headers: RequestHeaders) -> Response:
    """Post a comment.

    With COMMENTS_MODERATION, the response is 202 and the comment is published once the moderator approves it.
    """
    by_moderator, key = is_moderator(), headers.idempotency_key
    if new.content_id == settings().status_thread and not by_moderator:
        raise Unauthorized
    comment = store().find_replay(new, key) if key else None
    if comment is None:
        if not by_moderator:
            current_app.extensions["post_limit"].hit(request.remote_addr or "")
        comment = store().add(new, key=key, held=settings().moderation and not by_moderator)
    [shown] = redact_emails([comment])
    if "held" not in comment:
        return published(shown, f"comment created and associated with content_id {new.content_id}")
    message = f"comment is pending approval in content_id {new.content_id}"
    response = jsonify({"status": "HELD", "message": message} | shown)
    response.status_code = 202
    return response


def published(comment: Any, message: str) -> Response:
    response = jsonify({"status": "SUCCESS", "message": message} | comment)
    response.headers["Location"] = relative_url(f"/api/comment/{comment['content_id']}/{comment['id']}")
    return response


def relative_url(path: str) -> str:
    """Return a URL relative to that of the request: a proxy may serve the API under a prefix."""
    return posixpath.relpath(path, posixpath.dirname(request.path))


def listing(query: PageQuery, read: Callable[[str], Page], *, newest_first: bool = False) -> tuple[Page, str]:
    """Return a page and its Link header. `read` fetches the page after a position."""
    read_at = ids.now()  # before the page is read
    cursor = paging.Cursor.parse(query.after) if query.after else None
    page = read(cursor.position if cursor else "")
    link = paging.links(
        cursor, page, limit=query.limit, overlap=store().overlap, read_at=read_at, newest_first=newest_first
    )
    return page, link


def comment_not_found(content_id: int, comment_id: str) -> NotFound:
    return NotFound(f"comment {comment_id} not found in content_id {content_id}")


@api.get("/api/comment/list/<content_id>")
@api.input(ThreadQuery, location="query", arg_name="query")
@api.output(CommentList, description="A page of comments.")
@api.doc(
    operation_id="listComments",
    responses={304: {"description": "Not modified.", "headers": LINK | ETAG}} | responses(404, 503, ok=LINK | ETAG),
)
def list_comments(content_id: int, query: ThreadQuery) -> Response:
    """List the comments of a thread."""
    newest_first = query.order == "desc"

    def read(after: str) -> Page:
        return store().list_comments(content_id, after=after, limit=query.limit, newest_first=newest_first)

    page, link = listing(query, read, newest_first=newest_first)
    if not page.comments and not query.after:
        raise NotFound(f"content_id {content_id} not found", Link=link)
    response = jsonify(redact_emails(page.comments))
    if link:
        response.headers["Link"] = link
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    if "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response


@api.get("/api/comment/<content_id>/<comment_id>")
@api.output(CommentOut, description="The comment.")
@api.doc(operation_id="getComment", responses={301: MOVED} | responses(404, 503))
def get_comment(content_id: int, comment_id: str) -> Response:
    """Get one published comment. The id of a pending comment redirects to the published one after its approval."""
    comment = store().get(content_id, comment_id)
    if comment is None:
        raise comment_not_found(content_id, comment_id)
    [shown] = redact_emails([comment])
    response = jsonify(shown)
    if comment["id"] != comment_id:  # it was pending, and published under a new id
        response.status_code = 301
        response.headers["Location"] = comment["id"]
    return response


@api.get("/api/status")
@api.output(Status, description="The status; also 200 if the store is unavailable.")
@api.doc(operation_id="getStatus", tags=["Operations"], responses=responses())
def get_status() -> Response:
    """Show the running version, the state of the store, and the operator's messages."""
    board: StatusBoard = current_app.extensions["status"]
    response = jsonify(board.read())
    response.headers["Cache-Control"] = "no-store"
    return response


@api.get("/healthz")
@api.output(Health, description="The process responds.")
@api.doc(operation_id="getHealth", tags=["Operations"], responses=responses())
def healthz() -> Response:
    """Check that the process responds.

    Does not access the store, so that a short outage of the store does not replace every task.
    """
    return jsonify(status="OK")
