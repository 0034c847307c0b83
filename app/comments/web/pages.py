"""Our pages: the one that shows the thread, and the moderator's."""

from flask import Blueprint, Response, abort, current_app, render_template, request

from comments.settings import Settings
from comments.web.assets import asset_url
from comments.web.headers import protect

pages = Blueprint("pages", __name__, template_folder="templates")
pages.after_request(protect)  # not on the whole service: lists would pay for it


@pages.app_context_processor
def for_templates() -> dict[str, object]:
    """Give every page the addresses of its files, and whether there is a moderator."""
    return {"asset": asset_url, "moderated": bool(_moderator_token())}


@pages.get("/")
def home() -> Response:
    response = Response(render_template("home.html"), headers={"Cache-Control": "no-cache"})
    response.add_etag()
    response.make_conditional(request)
    return response


@pages.get("/moderate")
def moderate() -> Response:
    """Show the page that asks for the token. It holds nothing secret; without a moderator there is none."""
    if not _moderator_token():
        abort(404, "there is no moderator here: COMMENTS_MODERATOR_TOKEN is not set")
    return Response(render_template("moderate.html"), headers={"Cache-Control": "no-store"})


def _moderator_token() -> str:
    settings: Settings = current_app.extensions["settings"]
    return settings.moderator_token
