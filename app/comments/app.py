"""The application factory."""

import logging
from typing import Any

import jiter
import orjson
from apiflask import APIFlask
from flask import Response
from flask.json.provider import JSONProvider
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from comments import errors, logs, openapi
from comments.api import PostLimit, api
from comments.config import Settings, load_settings, unknown_variables
from comments.errors import MAX_BODY, FieldError, InvalidRequest
from comments.moderation import moderation
from comments.pages import pages
from comments.status import VERSION, StatusBoard
from comments.stores import CommentStore, open_store

log = logging.getLogger(__name__)


def parse_json(data: str | bytes) -> Any:
    """Parse strictly: no duplicate keys, no NaN, no lone surrogates, bounded nesting. The error names the position."""
    try:
        return jiter.from_json(
            data.encode() if isinstance(data, str) else data, catch_duplicate_keys=True, allow_inf_nan=False
        )
    except ValueError as error:
        raise InvalidRequest(FieldError(field="body", message=f"is not valid JSON: {error}")) from None


class StrictJSON(JSONProvider):
    def loads(self, s: str | bytes, **_: Any) -> Any:
        return parse_json(s)

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(orjson.dumps(args[0] if args else kwargs), mimetype="application/json")


def create_app(settings: Settings | None = None, store: CommentStore | None = None) -> APIFlask:
    """Build the app. Raises ConfigError for invalid settings, StoreError if the store cannot be opened."""
    settings = settings or load_settings()
    app = APIFlask(__name__, title="Comments", version=VERSION, docs_path=None, json_errors=False)
    app.json = StrictJSON(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    # Otherwise // in a path would redirect to the host in the client's Host header.
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings
    app.extensions["store"] = store = store or open_store(settings.store)
    app.extensions["post_limit"] = PostLimit(settings.post_limit)
    app.extensions["status"] = StatusBoard(store, settings)
    logs.init_app(app, settings)
    errors.init_app(app)
    app.register_blueprint(api)
    app.register_blueprint(pages)
    if settings.moderator_token.get_secret_value():
        app.register_blueprint(moderation)
    openapi.init_app(app, settings)
    if settings.cors_origins:
        CORS(
            app,
            # Pages of other sites must not call the moderation routes.
            resources=[r"/api/comment/.*", r"/api/status"],
            origins=list(settings.cors_origins),
            methods=["GET", "POST"],
            allow_headers=["Content-Type", "Idempotency-Key", "If-None-Match"],
            expose_headers=["ETag", "Link", "Location", "Retry-After", "X-Request-Id"],
            max_age=7200,  # seconds; Chromium's maximum
            send_wildcard=True,
        )
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]  # documented by Flask
    for warning in unknown_variables():
        log.warning(warning)
    log.info("serving comments from %s", settings.store)
    return app
