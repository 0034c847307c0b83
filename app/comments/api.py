"""Public routes: post a comment, list a thread, get one comment, status and health."""

import hmac
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, NoReturn
from urllib.parse import urlsplit

import gevent
from apiflask import APIBlueprint, HTTPTokenAuth
from flask import Response, abort, current_app, jsonify, request
from pydantic import ValidationError
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import RequestEntityTooLarge

from comments import ids, paging
from comments.config import Settings
from comments.errors import MAX_BODY, FieldError, InvalidRequest, field_errors
from comments.openapi import ETAG, LINK, LOCATION, content, responses
from comments.schemas import (
    PATH,
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
from comments.stores import CommentStore, Page

api = APIBlueprint("api", __name__, tag="Comments")
moderator = HTTPTokenAuth(
    security_scheme_name="moderator", description="The moderator token, COMMENTS_MODERATOR_TOKEN."
)

BODY_TIMEOUT = 30
"""Seconds to receive a request body. Without a limit, slow clients could occupy every connection."""

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
INCOMPLETE = FieldError(field="body", message="is incomplete or its chunks are malformed")


def store() -> CommentStore:
    opened: CommentStore = current_app.extensions["store"]
    return opened


def settings() -> Settings:
    loaded: Settings = current_app.extensions["settings"]
    return loaded


def is_moderator(credential: str | None) -> bool:
    token = settings().moderator_token.get_secret_value()
    return bool(token) and hmac.compare_digest((credential or "").encode(), token.encode())


def unauthorized(*_: Any) -> NoReturn:
    abort(401, "send the moderator token as Authorization: Bearer TOKEN", www_authenticate=WWWAuthenticate("bearer"))


moderator.verify_token(is_moderator)
moderator.error_processor(unauthorized)


def parse_path(_: str | None, values: dict[str, Any] | None) -> None:
    """Validate and convert the variables of a route. An invalid value is a 400, not a 404."""
    values = values or {}
    for name, value in values.items():
        try:
            values[name] = PATH[name].validate_python(value)
        except ValidationError as invalid:
            field = "id" if name == "comment_id" else name
            raise InvalidRequest(FieldError(field=field, message=field_errors(invalid)[0]["message"])) from None


def check_request() -> None:
    """Reject query parameters that the route does not have, and bodies that are not JSON or too large."""
    if not request.headers.get("Authorization", "").isascii():
        del request.environ["HTTP_AUTHORIZATION"]  # no token, and werkzeug would raise ValueError
    if request.endpoint not in {"api.list_comments", "moderation.list_held"} and request.args:
        raise InvalidRequest(*(FieldError(field=name or '""', message="is unknown") for name in request.args))
    if request.endpoint != "api.create_comment" or request.method == "OPTIONS":
        return
    if not request.mimetype:
        abort(415, "Content-Type is missing; it must be application/json")
    if request.mimetype != "application/json":
        abort(415, f"Content-Type must be application/json, not {request.mimetype}")
    try:
        with gevent.Timeout(BODY_TIMEOUT, InvalidRequest(INCOMPLETE)):
            body = request.get_data()
            # werkzeug cuts longer chunked bodies off here, and doesn't notice bodies shorter than their Content-Length.
            too_large = len(body) == MAX_BODY and bool(request.environ["wsgi.input"].read(1))
    except RequestEntityTooLarge:
        too_large = True
    except Exception:  # noqa: BLE001  # the WSGI server's error: a malformed chunk, or the client disconnected
        raise InvalidRequest(INCOMPLETE) from None
    if too_large:
        abort(413, f"the body must have at most {MAX_BODY} bytes")
    if len(body) < (request.content_length or 0):
        raise InvalidRequest(INCOMPLETE)


api.before_request(check_request)
api.url_value_preprocessor(parse_path)


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


class PostLimit:
    """Fixed-window rate limit on posting, per client and process. On AWS, WAF enforces a limit across all tasks.

    All clients share one window, so that its end forgets them all at once.
    """

    def __init__(self, rate: str) -> None:
        """`rate` is a number per unit, such as 10/minute, or empty for no limit."""
        number, _, unit = (rate or "0/second").partition("/")
        self._limit, self._seconds = int(number), SECONDS[unit]
        self._end = 0.0
        self._posts = Counter[str]()

    def hit(self, address: str) -> None:
        """Count a comment. Over the limit, the request ends with a 429."""
        if not self._limit:
            return
        now = time.monotonic()
        if now >= self._end:
            self._end, self._posts = now + self._seconds, Counter()
        client = _rate_limit_key(address)
        self._posts[client] += 1
        if self._posts[client] > self._limit:
            seconds = math.ceil(self._end - now)
            abort(429, f"too many comments from this address; retry in {seconds} s", retry_after=seconds)


def _rate_limit_key(address: str) -> str:
    """Return the address, or the /64 of an IPv6 address: its owner can usually use every address of the network."""
    try:
        if address.startswith("[") or address.count(":") == 1:  # some proxies append the port
            address = urlsplit(f"//{address}").hostname or address
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
    return address


_IDS = {"content_id": "$response.body#/content_id", "comment_id": "$response.body#/id"}
LINKS = {
    "comment": {"operationId": "getComment", "parameters": _IDS},
    "thread": {"operationId": "listComments", "parameters": {"content_id": _IDS["content_id"]}},
}
HELD = {"description": "The comment is stored and awaits approval.", "content": content("Held")}


@api.post("/api/comment/new")
@api.input(NewComment, arg_name="new")
@api.input(RequestHeaders, location="headers", arg_name="headers")
@api.output(Published, description="The comment is published.", links=LINKS)
@api.doc(
    operation_id="createComment",
    responses={202: HELD} | responses(401, 413, 415, 422, 429, 503, ok=LOCATION),
)
def create_comment(new: NewComment, headers: RequestHeaders) -> Response:
    """Post a comment.

    With COMMENTS_MODERATION, the response is 202 and the comment is published once the moderator approves it.
    """
    by_moderator = is_moderator(request.authorization.token if request.authorization else None)
    if new.content_id == settings().status_thread and not by_moderator:
        unauthorized()
    if not by_moderator:
        current_app.extensions["post_limit"].hit(request.remote_addr or "")
    held = settings().moderation and not by_moderator
    comment = store().add(new, key=headers.idempotency_key, held=held)
    [shown] = redact_emails([comment])
    if "held" not in comment:
        return published(shown, f"comment created and associated with content_id {new.content_id}")
    message = f"comment is pending approval in content_id {new.content_id}"
    response = jsonify({"status": "HELD", "message": message} | shown)
    response.status_code = 202
    return response


def published(comment: Any, message: str) -> Response:
    response = jsonify({"status": "SUCCESS", "message": message} | comment)
    response.headers["Location"] = f"/api/comment/{comment['content_id']}/{comment['id']}"
    return response


def listing(query: PageQuery, read: Callable[[str], Page], **parameters: str) -> Response:
    """Build the response for a page, with its Link header. `read` fetches the page after a position."""
    read_at = ids.now()  # before the page is read
    cursor = paging.Cursor.parse(query.after) if query.after else None
    page = read(cursor.position if cursor else "")
    # Later pages of a newest-first list never get new comments, so the next cursor is just the last id.
    overlap = 0 if parameters.get("order") == "desc" else store().overlap
    following = paging.following(cursor, page, overlap=overlap, read_at=read_at)
    response = jsonify(page.comments)
    response.headers["Link"] = paging.link(request.path, following, more=page.more, limit=query.limit, **parameters)
    return response


def not_found(content_id: int, comment_id: str) -> NoReturn:
    abort(404, f"comment {comment_id} not found in content_id {content_id}")


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
        page = store().list_comments(content_id, after=after, limit=query.limit, newest_first=newest_first)
        if not page.comments and not query.after:
            abort(404, f"content_id {content_id} not found")
        return Page(redact_emails(page.comments), page.more)

    response = listing(query, read, **({"order": "desc"} if newest_first else {}))
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    if "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response


@api.get("/api/comment/<content_id>/<comment_id>")
@api.output(CommentOut, description="The comment.")
@api.doc(operation_id="getComment", responses=responses(404, 503))
def get_comment(content_id: int, comment_id: str) -> Response:
    """Get one published comment."""
    comment = store().get(content_id, comment_id)
    if comment is None:
        not_found(content_id, comment_id)
    return jsonify(redact_emails([comment])[0])


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
