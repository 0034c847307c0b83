"""The comment service: one Flask application over one store."""

import logging

from flask import Flask

from comments.cors import CrossOrigin
from comments.docs import docs
from comments.errors import register_error_handlers
from comments.moderation import moderation
from comments.post_limit import post_limit
from comments.privacy import SHOWN
from comments.routes import api, health
from comments.service import NoSession, Service
from comments.settings import Settings
from comments.store import CommentStore, open_store
from comments.telemetry import RequestContext
from comments.web.assets import assets
from comments.web.pages import pages
from comments.web.runtime import Runtime
from comments.web.status import Board, status


def create_app(settings: Settings | None = None, store: CommentStore | None = None) -> Flask:
    """Build the WSGI application; raises SettingsError or StoreError when it could not serve."""
    settings = settings or Settings.from_environment()
    # Automatic OPTIONS answers would be empty HTML; preflights are answered by CrossOrigin.
    app = Service(__name__, static_folder=None)
    app.session_interface = NoSession()
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Flask would answer an address that is nearly right with a page that leads to the host that the visitor names.
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings
    app.extensions["store"] = store or open_store(settings.store)
    app.extensions["shown"] = SHOWN[settings.emails]
    app.extensions["post_limit"] = post_limit(settings.post_limit)
    app.extensions["status"] = Board(
        app.extensions["store"], Runtime(commit=settings.commit), thread=settings.status_thread
    )
    app.register_blueprint(api, url_prefix="/api")
    app.register_blueprint(health)
    if settings.moderator_token:
        app.register_blueprint(moderation, url_prefix="/api")
    for blueprint in (assets, pages, status, docs):
        app.register_blueprint(blueprint)
    register_error_handlers(app)
    if settings.cors_origins:
        app.wsgi_app = CrossOrigin(app.wsgi_app, origins=settings.cors_origins)  # type: ignore[method-assign]  # Flask's documented way to add a middleware
    app.wsgi_app = RequestContext(app.wsgi_app, trusted_proxies=settings.trusted_proxies)  # type: ignore[method-assign]  # Flask's documented way to add a middleware
    logging.getLogger(__name__).info("serving comments from %s", settings.store)
    return app
