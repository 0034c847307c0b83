"""The API's own description: for programs as OpenAPI, for people as a page."""

import orjson
from flask import Blueprint, Response, current_app, render_template, request

from comments.docs.document import document, operations
from comments.web.headers import protect

docs = Blueprint("docs", __name__, template_folder="templates")
docs.after_request(protect)


@docs.get("/openapi.json")
def openapi() -> Response:
    body = orjson.dumps(document(current_app.extensions["settings"]), option=orjson.OPT_INDENT_2)
    return _cached(Response(body, mimetype="application/json"))


@docs.get("/docs")
def page() -> Response:
    described = document(current_app.extensions["settings"])
    return _cached(Response(render_template("docs.html", described=described, operations=operations(described))))


def _cached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
