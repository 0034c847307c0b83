"""The comment service: one Flask application over one store."""

import logging

from flask import Flask

from comments.errors import register_error_handlers
from comments.routes import api, health
from comments.settings import Settings
from comments.store import CommentStore, open_store
from comments.telemetry import RequestContext, note_route


def create_app(settings: Settings | None = None, store: CommentStore | None = None) -> Flask:
    """Build the WSGI application; raises SettingsError or StoreError when it could not serve."""
    settings = settings or Settings.from_environment()
    # Automatic OPTIONS answers would be empty HTML; until CORS is configured the method is simply not allowed.
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.extensions["store"] = store or open_store(settings.store)
    app.before_request(note_route)
    app.register_blueprint(api, url_prefix="/api")
    app.register_blueprint(health)
    register_error_handlers(app)
    app.wsgi_app = RequestContext(app.wsgi_app, trusted_proxies=settings.trusted_proxies)  # type: ignore[method-assign]  # Flask's documented way to add a middleware
    logging.getLogger(__name__).info("serving comments from %s", settings.store)
    return app
