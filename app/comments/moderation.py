"""What the moderator alone may do, by a bearer token; without a token set, these routes do not exist."""

import logging
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from comments.errors import CommentNotFound, json_response
from comments.models import parse_after, parse_content_id, parse_id, parse_limit
from comments.moderator import require_moderator
from comments.routes import store
from comments.telemetry import CLIENT, fields

moderation = Blueprint("moderation", __name__)

audit = logging.getLogger("comments.audit")
# Who deleted what is told whatever gunicorn's --log-level is.
audit.setLevel(logging.INFO)


class ThreadConverter(BaseConverter):
    """Anything that may be meant as a content_id, which leaves /comment/list/… to its own route."""

    regex = r"(?!list/)[^/]+"


@moderation.record_once
def add_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["thread"] = ThreadConverter


moderation.before_request(require_moderator)


@moderation.get("/moderation/held")
def held() -> Response:
    after = parse_after(request.args.get("after"))
    limit = parse_limit(request.args.get("limit"))
    page = store().held_page(after=after, limit=limit)
    response = json_response(page.comments)
    if page.more:
        query = urlencode({"limit": limit, "after": page.comments[-1]["id"]})
        response.headers["Link"] = f'</api/moderation/held?{query}>; rel="next"'
    return response


@moderation.post("/moderation/<content_id>/<comment_id>/approve")
def approve(content_id: str, comment_id: str) -> Response:
    thread, which = parse_content_id(content_id), parse_id(comment_id)
    if not store().approve(thread, which):
        raise CommentNotFound(thread, which)
    return _done("approve", "approved", thread, which)


@moderation.delete("/comment/<thread:content_id>/<comment_id>")
def delete(content_id: str, comment_id: str) -> Response:
    thread, which = parse_content_id(content_id), parse_id(comment_id)
    if not store().delete(thread, which):
        raise CommentNotFound(thread, which)
    return _done("delete", "deleted", thread, which)


def _done(action: str, done: str, content_id: int, comment_id: str) -> Response:
    client = request.environ.get(CLIENT)
    audit.info("moderation", extra=fields(action=action, content_id=content_id, id=comment_id, client=client))
    message = f"comment {comment_id} of content_id {content_id} {done}"
    return json_response({"status": "SUCCESS", "message": message, "id": comment_id})
