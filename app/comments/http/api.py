"""Public routes: post a comment, list a thread, get one comment, status and health."""

import hashlib
import hmac
import posixpath
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from apiflask import APIBlueprint
from flask import Response, current_app, g, jsonify, request

from comments import ids
from comments.canonical import thread_of
from comments.comment import Author, Comment, NewComment
from comments.errors import Conflict, FieldError, Forbidden, NotFound, Unauthorized
from comments.hold import needs_approval
from comments.http import paging, web
from comments.http.openapi import ETAG, LINK, LOCATION, content, responses
from comments.http.schemas import (
    AnyComment,
    AuthorHeaders,
    CommentList,
    CommentOut,
    CountList,
    CountQuery,
    Deleted,
    EditedComment,
    Health,
    PageQuery,
    PageThreadQuery,
    Published,
    RequestHeaders,
    Status,
    ThreadQuery,
)
from comments.http.status import StatusBoard
from comments.http.web import is_moderator, settings, store
from comments.stores import Page

api = APIBlueprint("api", __name__, tag="Comments")
web.init_blueprint(api)

EDIT_SECONDS = 15 * 60
"""How long authors can edit their comments."""

PUBLIC = tuple(AnyComment.model_fields)
"""Fields of a comment in responses to moderators. Stores keep other keys as well."""


def for_moderator(comment: Comment) -> dict[str, Any]:
    return {name: comment[name] for name in PUBLIC if name in comment}  # type: ignore[literal-required]  # mypy does not follow the keys


def for_readers(comment: Comment, emails: str) -> dict[str, Any]:
    """Show, mask or hide the address, as COMMENTS_EMAILS says. A masked one keeps its first character and its domain.

    With a name, the address is never shown.
    """
    shown = for_moderator(comment)
    if emails == "mask" and "email" in shown:
        local_part, _, domain = comment["email"].partition("@")
        shown["email"] = f"{local_part[0]}***@{domain}"
    if emails == "hide" or "name" in shown:
        shown.pop("email", None)
    return shown


def for_sender() -> Callable[[Comment], dict[str, Any]]:
    """Return how to show comments to the sender of the request."""
    return for_moderator if is_moderator() else partial(for_readers, emails=settings().emails)


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
LISTED = {304: {"description": "Not modified.", "headers": LINK | ETAG}} | responses(404, 503, ok=LINK | ETAG)
HELD = {"description": "The comment is stored and awaits approval.", "content": content("Held")}


@api.post("/api/comment/new")
@web.receives_json
@api.input(NewComment, arg_name="new")
@api.input(RequestHeaders, location="headers", arg_name="headers")
@api.output(Published, description="The comment is published.", links=LINKS)
@api.doc(
    operation_id="createComment",
    responses={202: HELD} | responses(408, 409, 413, 415, 422, 429, 503, ok=LOCATION),
)
def create_comment(new: NewComment, headers: RequestHeaders) -> Response:
    """Post a comment.

    If a rule of COMMENTS_HOLD matches, the response is 202 and the comment is published once the moderator approves it.
    """
    by, key = Author(token_hash(headers.author_token), is_moderator()), headers.idempotency_key
    if new.content_id == settings().status_thread and not by.moderator:
        raise Unauthorized
    comment = store().find_replay(new, key, by=by) if key else None
    if comment is None:
        count_post()
        if new.parent and not store().get(new.content_id, new.parent):
            message = f"must be the id of a published comment of content_id {new.content_id}"
            raise Conflict(FieldError(field="parent", message=message))
        comment = store().add(new, key=key, held=is_held(new.name, new.comment, by.token_hash), by=by)
    g.comment_id = comment["id"]  # for the log
    shown = for_readers(comment, settings().emails)
    if "held" not in comment:
        return published(shown, f"comment created and associated with content_id {new.content_id}")
    message = f"comment is pending approval in content_id {new.content_id}"
    response = jsonify({"status": "HELD", "message": message} | shown)
    response.status_code = 202
    return response


def count_post() -> None:
    """Raises RateLimited if this client has posted, edited and deleted too many comments."""
    if not is_moderator():
        current_app.extensions["post_limit"].hit(request.remote_addr or "")


def is_held(name: str, text: str, author: str) -> bool:
    return not is_moderator() and needs_approval(settings(), store().is_trusted, name=name, text=text, author=author)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def published(comment: Any, message: str) -> Response:
    response = jsonify({"status": "SUCCESS", "message": message} | comment)
    response.headers["Location"] = relative_url(f"/api/comment/{comment['content_id']}/{comment['id']}")
    return response


def relative_url(path: str) -> str:
    """Return a URL relative to that of the request: a proxy may serve the API under a prefix."""
    return posixpath.relpath(path, posixpath.dirname(request.path))


def listing(
    query: PageQuery, read: Callable[[str], Page], *, newest_first: bool = False, **parameters: str
) -> tuple[Page, str]:
    """Return a page and its Link header. `read` fetches the page after a position."""
    read_at = ids.now()  # before the page is read
    cursor = paging.Cursor.parse(query.after) if query.after else None
    page = read(cursor.position if cursor else "")
    link = paging.links(
        cursor,
        page,
        {**parameters, "limit": query.limit},
        overlap=store().overlap,
        read_at=read_at,
        newest_first=newest_first,
    )
    return page, link


def comment_not_found(content_id: int, comment_id: str) -> NotFound:
    return NotFound(f"comment {comment_id} not found in content_id {content_id}")


@api.get("/api/comment/list/<content_id>")
@web.takes_query(api, ThreadQuery)
@api.output(CommentList, description="A page of comments.")
@api.doc(operation_id="listComments", responses=LISTED)
def list_comments(content_id: int, query: ThreadQuery) -> Response:
    """List the comments of a thread. The moderator sees all addresses."""
    return list_thread(content_id, query, f"content_id {content_id} not found")


@api.get("/api/comment/list")
@web.takes_query(api, PageThreadQuery)
@api.output(CommentList, description="A page of comments.")
@api.doc(operation_id="listCommentsOfPage", responses=LISTED)
def list_page(query: PageThreadQuery) -> Response:
    """List the comments of a page. The moderator sees all addresses."""
    return list_thread(thread_of(query.page), query, f"page {query.page} not found", page=query.page)


def list_thread(content_id: int, query: ThreadQuery, not_found: str, **parameters: str) -> Response:
    newest_first = query.order == "desc"

    def read(after: str) -> Page:
        return store().list_comments(content_id, after=after, limit=query.limit, newest_first=newest_first)

    page, link = listing(query, read, newest_first=newest_first, **parameters)
    if not page.comments and not query.after:
        raise NotFound(not_found, Link=link)
    response = jsonify([*map(for_sender(), page.comments)])
    if link:
        response.headers["Link"] = link
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    if "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response


@api.get("/api/comment/counts")
@web.takes_query(api, CountQuery)
@api.output(CountList, description="A count for each parameter, first those of content_id.")
@api.doc(operation_id="countComments", responses=responses(503))
def count_comments(query: CountQuery) -> Response:
    """Count the published comments of threads and pages. Both parameters may be repeated up to 50 times."""
    pages = [(thread_of(page), {"page": page}) for page in query.page]
    counts = store().count([*query.content_id, *(content_id for content_id, _ in pages)])
    threads = [(content_id, dict[str, str]()) for content_id in query.content_id]
    response = jsonify(
        [{"content_id": content_id, **page, "count": counts[content_id]} for content_id, page in threads + pages]
    )
    response.headers["Cache-Control"] = "public, max-age=60"
    return response


@api.get("/api/comment/<thread:content_id>/<comment_id>")
@api.output(CommentOut, description="The comment.")
@api.doc(operation_id="getComment", responses={301: MOVED} | responses(404, 503))
def get_comment(content_id: int, comment_id: str) -> Response:
    """Get one published comment. The id of a pending comment redirects to the published one after its approval."""
    comment = store().get(content_id, comment_id)
    if comment is None:
        raise comment_not_found(content_id, comment_id)
    response = jsonify(for_sender()(comment))
    if comment["id"] != comment_id:  # it was pending, and published under a new id
        response.status_code = 301
        response.headers["Location"] = comment["id"]
    return response


@api.patch("/api/comment/<thread:content_id>/<comment_id>")
@web.receives_json
@api.input(EditedComment, arg_name="edited")
@api.input(AuthorHeaders, location="headers", arg_name="headers")
@api.output(AnyComment, description="The changed comment.")
@api.doc(operation_id="editComment", responses=responses(403, 404, 408, 409, 413, 415, 429, 503))
def edit_comment(content_id: int, comment_id: str, edited: EditedComment, headers: AuthorHeaders) -> Response:
    """Edit one's own comment within 15 minutes of posting it. Clients that follow the thread don't see the change."""
    comment = own_comment(content_id, comment_id, headers)
    if datetime.now(UTC) - datetime.fromisoformat(comment["created_at"]) > timedelta(seconds=EDIT_SECONDS):
        raise Forbidden(f"comments can be edited for {EDIT_SECONDS // 60} minutes")
    if "held" not in comment and is_held(comment.get("name", ""), edited.comment, comment["author"]):
        raise Conflict(FieldError(field="comment", message="would need approval with this text"))
    changed = store().edit(content_id, comment["id"], edited.comment, ids.timestamp(time.time()))
    if changed is None:
        raise comment_not_found(content_id, comment_id)
    return jsonify(for_readers(changed, settings().emails))


@api.delete("/api/comment/<thread:content_id>/<comment_id>")
@api.input(AuthorHeaders, location="headers", arg_name="headers")
@api.output(Deleted, description="The comment is deleted.")
@api.doc(operation_id="deleteOwnComment", responses=responses(403, 404, 429, 503))
def delete_own_comment(content_id: int, comment_id: str, headers: AuthorHeaders) -> Response:
    """Delete one's own comment."""
    comment = own_comment(content_id, comment_id, headers)
    if not store().delete(content_id, comment["id"]):
        raise comment_not_found(content_id, comment_id)
    return deleted(content_id, comment_id)


def own_comment(content_id: int, comment_id: str, headers: AuthorHeaders) -> Comment:
    """Return a published or pending comment. Raises Forbidden unless the request has its author's token."""
    count_post()
    comment = store().find(content_id, comment_id)
    if comment is None:
        raise comment_not_found(content_id, comment_id)
    if not hmac.compare_digest(comment.get("author", ""), token_hash(headers.author_token)):
        raise Forbidden("Author-Token is not the one with which the comment was posted")
    return comment


def deleted(content_id: int, comment_id: str) -> Response:
    message = f"comment {comment_id} of content_id {content_id} deleted"
    return jsonify(status="SUCCESS", message=message, id=comment_id)


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
