"""Which other sites' pages may call the API from a browser: a middleware that is there only when some may."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from comments.telemetry import ROUTE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PREFLIGHT = [
    # No DELETE and no Authorization: moderation is not for other sites' pages.
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Content-Type, Idempotency-Key"),
    ("Access-Control-Max-Age", "7200"),  # seconds; the most that Chromium takes
]
EXPOSED = ("Access-Control-Expose-Headers", "Link, X-Request-Id, Retry-After")


class CrossOrigin:
    """Answers preflights of the origins that are set, and marks answers as theirs to read."""

    def __init__(self, app: Callable[..., Iterable[bytes]], *, origins: tuple[str, ...]) -> None:
        self._app = app
        self._anyone = origins == ("*",)
        self._origins = frozenset(origins)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith("/api/"):
            return self._app(environ, start_response)
        headers = self._headers(environ.get("HTTP_ORIGIN"))
        if (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            and len(headers) > 1
        ):
            environ[ROUTE] = "preflight"
            start_response("204 No Content", [*headers, *PREFLIGHT])
            return []

        def start(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*given, *headers], exc_info)

        return self._app(environ, start)

    def _headers(self, origin: str | None) -> list[tuple[str, str]]:
        # Vary even without an origin: a cache must not give this answer to a page that has one.
        vary = ("Vary", "Origin")
        if origin is None or not (self._anyone or origin in self._origins):
            return [vary]
        return [vary, ("Access-Control-Allow-Origin", "*" if self._anyone else origin), EXPOSED]
