"""JSON log lines, one per request, and CloudWatch metrics embedded in them.

Log lines never contain email addresses, comment text, tokens or query strings.
"""

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, Response, g, has_request_context, request
from pythonjsonlogger.orjson import OrjsonFormatter

from comments.ids import timestamp

if TYPE_CHECKING:
    from comments.config import Settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]{1,200}")
ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,64}")
TRACE_ID = re.compile(r"[A-Za-z0-9=;:.-]{1,200}")
"""Only values that match are logged: headers and paths can contain anything, including control characters."""

log = logging.getLogger("comments.request")


class JsonFormatter(OrjsonFormatter):
    """One JSON object per line: time, level, logger, message, request_id, extra fields and the traceback."""

    def __init__(self) -> None:
        super().__init__(["message"], rename_fields={"exc_info": "traceback"})

    def format(self, record: logging.LogRecord) -> str:
        return record.msg if record.name == log.name else super().format(record)  # request lines are complete

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = timestamp(record.created)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        if "request_id" not in record.__dict__ and has_request_context() and "request_id" in g:
            log_data["request_id"] = g.request_id
        super().add_fields(log_data, record, message_dict)


class Redact(logging.Filter):
    """Remove request data that gunicorn and Flask quote in their messages about malformed and failed requests."""

    _INVALID = re.compile(r"Invalid request from ip=\S*: [^:'\"]*")

    def filter(self, record: logging.LogRecord) -> bool:
        message = str(record.msg)
        if invalid := self._INVALID.match(message):
            record.msg = invalid[0].rstrip()
        elif message.startswith(("Error handling request", "Socket error processing request")):
            error = record.exc_info[0] if record.exc_info else None
            record.msg = f"error while handling a request: {error.__name__ if error else 'unknown'}"
            record.args = record.exc_info = None
        elif message.startswith("Exception on "):  # Flask's, with the path
            record.msg, record.args = "error outside of a view", None
        return True


CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "comments.logs.JsonFormatter"}},
    "filters": {"redact": {"()": "comments.logs.Redact"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": ["stdout"]},
    "loggers": {
        "comments": {"level": "INFO"},
        "comments.app": {"filters": ["redact"]},  # Flask names its logger after the module of the app
        "gunicorn.error": {"handlers": ["stdout"], "filters": ["redact"], "propagate": False},
    },
}
"""For logging.config.dictConfig."""


def directive(namespace: str, units: Mapping[str, str], *dimensions: str, **options: int) -> dict[str, Any]:
    """Describe metrics for CloudWatch: the names and units of fields of a log line, and options of each metric."""
    metrics = [{"Name": name, "Unit": unit, **options} for name, unit in units.items()]
    return {"Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics}


def embedded(directives: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the field of a log line with which CloudWatch turns other fields into metrics."""
    return {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives}}


def init_app(app: Flask, settings: "Settings") -> None:
    duration, failed = {"duration_ms": "Milliseconds"}, {"failed": "Count"}
    # The route is the only dimension: each combination costs $0.30. Failures are also counted without it, for an alarm
    # with a period of seconds.
    of_successes = [directive(settings.metrics, duration, "route")]
    of_failures = [
        directive(settings.metrics, duration | failed, "route"),
        directive(settings.metrics, failed, StorageResolution=1),
    ]

    # Not before_request: this also runs before the variables of the route are validated.
    @app.url_value_preprocessor
    def start(*_: object) -> None:
        g.started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else os.urandom(8).hex()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.path == "/healthz" and response.status_code == HTTPStatus.OK:
            return response  # the load balancer sends these every few seconds
        has_body = request.method != "HEAD" and response.status_code != HTTPStatus.NOT_MODIFIED
        is_failure = response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        level = logging.ERROR if is_failure else logging.INFO
        now = time.time()
        line: dict[str, Any] = {
            "time": timestamp(now),
            "level": logging.getLevelName(level).lower(),
            "logger": log.name,
            "message": "request",
            "request_id": g.request_id,
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else "unknown",
            "status": response.status_code,
            "duration_ms": round((time.perf_counter() - g.started) * 1000, 2),
            "bytes": (has_body and response.content_length) or 0,
        }
        if ADDRESS.fullmatch(client := request.remote_addr or ""):
            line["client"] = client
        if PLAIN_PATH.fullmatch(request.path):
            line["path"] = request.path
        if TRACE_ID.fullmatch(trace := request.headers.get("X-Amzn-Trace-Id", "")):
            line["trace_id"] = trace
        if "comment_id" in g:
            line["id"] = g.comment_id
        if settings.metrics:
            line |= ({"failed": 1} | embedded(of_failures)) if is_failure else embedded(of_successes)
        log.log(level, orjson.dumps(line).decode())
        return response
