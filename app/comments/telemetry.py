"""Who asked for what, how it went and how long it took: request ids, and log lines in JSON.

A line never holds an email, a comment's text, a token or a query string.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from flask import request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

REQUEST_ID = "comments.request_id"
ROUTE = "comments.route"
CLIENT = "comments.client"
"""Keys of the WSGI environment, where the server's log line finds what the application knows."""

FIELDS = "comments_fields"
"""The attribute of a log record that holds them."""

NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
"""No browser shall take a comment for a page or a script."""

SERVER_ERRORS = 500
"""The first status that says the service failed, not the request."""

ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]{1,200}")
ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,64}")
TRACE_ID = re.compile(r"[A-Za-z0-9=;:.-]{1,200}")
"""What these may be made of: headers can hold anything, control characters of the upper half too."""


class RequestContext:
    """A middleware: every request gets an id, which its answer and its log line carry."""

    def __init__(self, app: Callable[..., Iterable[bytes]], *, trusted_proxies: int) -> None:
        self._app = app
        self._trusted_proxies = trusted_proxies

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if ACCEPTABLE_ID.fullmatch(given) else os.urandom(8).hex()
        environ[REQUEST_ID] = request_id
        environ[CLIENT] = client_address(environ, self._trusted_proxies)
        environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"  # http://HOST alone; Flask would redirect

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            # The template of the route groups requests where paths would not; Flask forgets it as soon as it is done.
            rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
            if rule:
                environ[ROUTE] = rule.rule
            return start_response(status, [*headers, NO_SNIFFING, ("X-Request-Id", request_id)], exc_info)

        return self._app(environ, start)


def client_address(environ: "WSGIEnvironment", trusted_proxies: int) -> str:
    """Return the address that the outermost trusted proxy saw; what lies left of it in the header, anyone can write."""
    if trusted_proxies:
        hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(hops) >= trusted_proxies and ADDRESS.fullmatch(address := hops[-trusted_proxies].strip()):
            return str(address)
    return str(environ.get("REMOTE_ADDR", ""))


def request_line(environ: Mapping[str, Any], *, status: int, seconds: float, sent: int) -> dict[str, Any]:
    """Return the log line of one answered request; duration_ms is the time in the worker, without the queue before."""
    line: dict[str, Any] = {
        "time": now(),
        "level": "error" if status >= SERVER_ERRORS else "info",
        "message": "request",
        "request_id": environ.get(REQUEST_ID),
        "method": environ.get("REQUEST_METHOD"),
        "route": environ.get(ROUTE) or "unknown",
        "status": status,
        "duration_ms": round(seconds * 1000, 2),
        "bytes": sent,
        "client": environ.get(CLIENT),
    }
    path = environ.get("PATH_INFO", "")
    if PLAIN_PATH.fullmatch(path):
        line["path"] = path
    trace = environ.get("HTTP_X_AMZN_TRACE_ID", "")
    if TRACE_ID.fullmatch(trace):
        line["trace_id"] = trace
    return line


class EmbeddedMetrics:
    """CloudWatch's embedded metric format: it makes metrics of log lines, with no agent and no call.

    The route's template is the only dimension, and one metric a route is paid for: its count is the requests, its
    percentiles are the answer times. A route that fails has a second one.
    """

    def __init__(self, namespace: str) -> None:
        duration = {"Name": "duration_ms", "Unit": "Milliseconds"}
        self._answered = _directive(namespace, duration)
        self._failed = _directive(namespace, duration, {"Name": "failed", "Unit": "Count"})

    def add_to(self, line: dict[str, Any]) -> None:
        directive = self._answered
        if line["level"] == "error":
            line["failed"] = 1
            directive = self._failed
        line["_aws"] = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directive}


class NoMetrics:
    """What takes their place where nobody collects them."""

    def add_to(self, line: dict[str, Any]) -> None:
        """Leave the line as it is."""


def _directive(namespace: str, *metrics: dict[str, str]) -> orjson.Fragment:
    """Written once, since it is the same in every line."""
    return orjson.Fragment(orjson.dumps([{"Namespace": namespace, "Dimensions": [["route"]], "Metrics": metrics}]))


class JsonFormatter(logging.Formatter):
    """Everything that is not a request, one line each, a traceback inside its line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": now(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
        }
        request_id = request.environ.get(REQUEST_ID) if request else None
        if request_id:
            line["request_id"] = request_id
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Return what logging's `extra` takes, to add fields of their own to a line."""
    return {FIELDS: values}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
