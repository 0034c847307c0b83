"""The application factory."""

import logging

from apiflask import APIFlask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from comments import errors, logs
from comments.config import DATA, Settings, load_settings, lost_with_container, unknown_variables
from comments.errors import MAX_BODY
from comments.http import openapi, web
from comments.http.api import api
from comments.http.moderation import moderation
from comments.http.pages import pages
from comments.http.post_limit import PostLimit
from comments.http.status import VERSION, StatusBoard
from comments.stores import CommentStore, open_store
from comments.strict_json import StrictJSON

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, store: CommentStore | None = None) -> APIFlask:
    """Build the app. Raises ConfigError for invalid settings, StoreError if the store cannot be opened."""
    settings = settings or load_settings()
    app = APIFlask(
        __name__,
        title="Comments",
        version=VERSION,
        docs_path=None,
        json_errors=False,
        static_folder="http/static",
        template_folder="http/templates",
    )
    app.json = StrictJSON(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    # Otherwise // in a path would redirect to the host in the client's Host header.
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings
    app.extensions["store"] = store = store or open_store(settings.store)
    store.targets = settings.notify
    app.extensions["post_limit"] = PostLimit(settings.post_limit)
    app.extensions["status"] = StatusBoard(store, settings)
    logs.init_app(app, settings)
    errors.init_app(app)
    web.init_app(app)
    app.register_blueprint(api)
    app.register_blueprint(pages)
    if settings.moderator_token.get_secret_value():
        app.register_blueprint(moderation)
    openapi.init_app(app, settings)
    if settings.cors_origins:
        CORS(
            app,
            resources=[web.PUBLIC_PATHS],
            origins=list(settings.cors_origins),
            methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Author-Token", "Content-Type", "Idempotency-Key", "If-None-Match"],
            expose_headers=["ETag", "Link", "Location", "Retry-After", "X-Request-Id"],
            max_age=7200,  # seconds; Chromium's maximum
            send_wildcard=True,
            vary_header=False,  # web.py adds it to all responses
        )
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]  # documented by Flask
    for warning in unknown_variables():
        log.warning(warning)
    if lost_with_container(settings.store):
        log.warning("comments are stored in this container and deleted with it; mount a volume at %s", DATA.resolve())
    log.info("serving comments from %s", settings.store)
    return app
