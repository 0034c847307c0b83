"""Flask without what no route here uses, which it would look for in every request."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter


class Service(Flask):
    """A Flask of plain functions, whose routes are the same whatever the host is called."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Leave the host alone: Flask checks it twice, for redirects and absolute links, and none is made."""
        if request is None:
            return None
        return MapAdapter(self.url_map, "", "/", "", request.scheme, request.path, request.method)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return it as it is: no view here is a coroutine."""
        return func


class NoSession(SessionInterface):
    """There are no cookies here."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002  # Flask's signature
        return self._none
