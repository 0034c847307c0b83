"""Moderator routes. They exist only if COMMENTS_MODERATOR_TOKEN is set."""

import logging

from apiflask import APIBlueprint
from flask import Response, jsonify, request

from comments.fields import MAX_LIMIT
from comments.http import paging, web
from comments.http.api import LINKS, comment_not_found, deleted, for_moderator, listing, published
from comments.http.openapi import LINK, LOCATION, responses
from comments.http.schemas import AnyComment, Deleted, HeldList, PageQuery, Published, RecentList, RecentQuery
from comments.http.web import moderator, store

moderation = APIBlueprint("moderation", __name__, url_prefix="/api/moderation", tag="Moderation")
web.init_blueprint(moderation)

audit = logging.getLogger("comments.audit")

SEARCHED = ("name", "email", "page", "comment")


@moderation.get("/held")
@moderation.auth_required(moderator)
@web.takes_query(moderation, PageQuery)
@moderation.output(HeldList, description="A page of comments.")
@moderation.doc(operation_id="listHeld", responses=responses(503, ok=LINK))
def list_held(query: PageQuery) -> Response:
    """List the comments of all threads that await approval, oldest first."""
    page, link = listing(query, lambda after: store().list_held(after=after, limit=query.limit))
    response = jsonify([for_moderator(comment) for comment in page.comments])
    response.headers["Link"] = link
    return response


@moderation.get("/recent")
@moderation.auth_required(moderator)
@web.takes_query(moderation, RecentQuery)
@moderation.output(RecentList, description="A page of comments.")
@moderation.doc(operation_id="listRecent", responses=responses(503, ok=LINK))
def list_recent(query: RecentQuery) -> Response:
    """List the newest comments of all threads, published and pending, newest first."""
    position = paging.Cursor.parse(query.after).position
    page = store().list_recent(after=position, limit=MAX_LIMIT if query.text else query.limit)
    comments = [for_moderator(comment) for comment in page.comments]
    text = query.text.casefold()
    response = jsonify([each for each in comments if any(text in each.get(name, "").casefold() for name in SEARCHED)])
    if page.more:
        parameters = {"limit": query.limit} | ({"text": query.text} if query.text else {})
        response.headers["Link"] = paging.link(paging.Cursor(page.comments[-1]["id"]), "next", parameters)
    return response


@moderation.get("/<content_id>/<comment_id>")
@moderation.auth_required(moderator)
@moderation.output(AnyComment, description="The comment.")
@moderation.doc(operation_id="getAnyComment", responses=responses(404, 503))
def get_any_comment(content_id: int, comment_id: str) -> Response:
    """Get one published or pending comment. The id of a pending comment finds the published one after its approval."""
    comment = store().find(content_id, comment_id)
    if comment is None:
        raise comment_not_found(content_id, comment_id)
    return jsonify(for_moderator(comment))


@moderation.post("/<content_id>/<comment_id>/approve")
@moderation.auth_required(moderator)
@moderation.output(Published, description="The published comment.", links=LINKS)
@moderation.doc(operation_id="approveComment", responses=responses(404, 503, ok=LOCATION))
def approve(content_id: int, comment_id: str) -> Response:
    """Approve and publish a pending comment.

    The comment gets a new id, so that clients that follow the thread see it. Repeating the request returns the same
    comment. The rule `newcomers` no longer matches its author.
    """
    comment = store().approve(content_id, comment_id)
    if comment is None:
        raise comment_not_found(content_id, comment_id)
    _log("approve", content_id, comment_id, published_id=comment["id"])
    return published(for_moderator(comment), f"comment {comment_id} of content_id {content_id} approved")


@moderation.delete("/<content_id>/<comment_id>")
@moderation.auth_required(moderator)
@moderation.output(Deleted, description="The comment is deleted.")
@moderation.doc(operation_id="deleteComment", responses=responses(404, 503))
def delete(content_id: int, comment_id: str) -> Response:
    """Permanently delete a published or pending comment. Its author is a newcomer again."""
    if not store().delete(content_id, comment_id, distrust=True):
        raise comment_not_found(content_id, comment_id)
    _log("delete", content_id, comment_id)
    return deleted(content_id, comment_id)


def _log(action: str, content_id: int, comment_id: str, **more: str) -> None:
    extra = {"action": action, "content_id": content_id, "id": comment_id, "client": request.remote_addr, **more}
    audit.info("moderation", extra=extra)
