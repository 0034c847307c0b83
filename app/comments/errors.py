"""Errors and the JSON format they share."""

import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar, TypedDict

from apiflask import APIFlask, HTTPError
from flask import request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as RouteNotFound

MAX_BODY = 128 * 1024
"""Maximum size of a request body in bytes. 10,000 characters fit even if each is escaped as twelve bytes, as emoji."""

MAX_ERRORS = 20
"""Maximum number of errors in a response; a request may have thousands of unknown fields."""

RETRY_AFTER = 2
"""Seconds after which clients should retry when the store is unavailable."""

ERRORS = {
    400: ("INVALID", "Invalid request; `errors` names each invalid field."),
    401: ("UNAUTHORIZED", "The `Authorization` header is not that of the moderator, or is missing."),
    403: ("FORBIDDEN", "The comment was posted with another token, or can no longer be edited."),
    404: ("NOT-FOUND", "Not found."),
    405: ("NOT-ALLOWED", "The route does not support this method."),
    408: ("TIMEOUT", "The body arrived too slowly."),
    409: ("CONFLICT", "The comment that it replies to is not published, or the new text would need approval."),
    413: ("TOO-LARGE", f"The body has more than {MAX_BODY:,} bytes."),
    415: ("UNSUPPORTED", "The body is not application/json, or is compressed."),
    422: ("KEY-REUSED", "The idempotency key was used for another comment of this thread within 24 hours."),
    429: ("RATE-LIMITED", "Too many comments from this address, or more requests than the table takes."),
    500: ("ERROR", "Unexpected error; the service log has the details."),
    503: ("UNAVAILABLE", "The store failed or did not respond in time."),
}
"""`status` and description by HTTP status. Other client errors are INVALID, other server errors ERROR."""

log = logging.getLogger(__name__)


class FieldError(TypedDict):
    field: str
    message: str


class ServiceError(Exception):
    code: ClassVar[int] = 500

    def __init__(self, message: str, *errors: FieldError, **headers: str) -> None:
        """`headers` are added to the response; Retry_After becomes Retry-After."""
        super().__init__(message)
        self.message = message
        self.errors = errors
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class InvalidRequest(ServiceError):
    code = 400

    def __init__(self, *errors: FieldError) -> None:
        errors = errors[:MAX_ERRORS]
        super().__init__("; ".join(f"{error['field']}: {error['message']}" for error in errors), *errors)


class Unauthorized(ServiceError):
    code = 401

    def __init__(self, message: str = "send the moderator token as Authorization: Bearer TOKEN") -> None:
        super().__init__(message, WWW_Authenticate="Bearer")


class Forbidden(ServiceError):
    code = 403


class RateLimited(ServiceError):
    code = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many comments from this address; retry in {seconds} s", Retry_After=str(seconds))


class NotFound(ServiceError):
    code = 404


class Conflict(InvalidRequest):
    code = 409


class KeyReused(InvalidRequest):
    code = 422

    def __init__(self) -> None:
        super().__init__(FieldError(field="Idempotency-Key", message="was used for another comment; send a new key"))


class StoreError(ServiceError):
    """The message is for the log and the command line; clients only see that the store is unavailable."""

    code = 503

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message, Retry_After=str(RETRY_AFTER))
        self.reason = reason or type(self).__name__


class Throttled(StoreError):
    """DynamoDB rejects requests beyond the table's ceiling or a partition's limit; no alarm for failures counts it."""

    code = 429


def error_body(code: int, message: str, errors: Sequence[FieldError] = ()) -> dict[str, Any]:
    status, _ = ERRORS.get(code) or ERRORS[500 if code >= HTTPStatus.INTERNAL_SERVER_ERROR else 400]
    body: dict[str, Any] = {"status": status, "message": message}
    return body | {"errors": list(errors)} if errors else body


def field_errors(invalid: ValidationError) -> list[FieldError]:
    """Translate pydantic's errors into messages that complete "FIELD …"."""
    return [FieldError(field=_field(error["loc"]), message=_message(error)) for error in invalid.errors()]


def _field(location: tuple[int | str, ...]) -> str:
    if not location:
        return "body"
    name = str(location[0])[:100] or '""'
    return name.replace("_", "-").title() if name in {"idempotency_key", "author_token"} else name


def _message(error: Any) -> str:
    messages = {
        "missing": "is required",
        "extra_forbidden": "is unknown",
        "string_type": "must be a string",
        "string_too_short": "must not be empty",  # all minimum lengths are 1
        "string_unicode": "must be UTF-8 text",
        "bool_type": "must be a boolean",
        "model_type": "must be a JSON object",
        "value_error": str(error.get("ctx", {}).get("error")),
    }
    return messages.get(error["type"]) or re.sub("^(Input|List|String|Value) should", "must", error["msg"])


def init_app(app: APIFlask) -> None:
    @app.errorhandler(ServiceError)
    def service_error(error: ServiceError) -> ResponseReturnValue:
        return error_body(error.code, error.message, error.errors), error.code, error.headers

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> ResponseReturnValue:
        log.error("the store failed: %s", error.message, exc_info=error.__cause__)
        message = "comments are temporarily unavailable; retry shortly"
        return error_body(503, message), 503, error.headers

    @app.errorhandler(Throttled)
    def throttled(error: Throttled) -> ResponseReturnValue:
        log.warning("the store throttled a request: %s", error.message)
        return error_body(429, f"too many requests; retry in {RETRY_AFTER} s"), 429, error.headers

    @app.errorhandler(HTTPError)
    def validation_error(error: HTTPError) -> ResponseReturnValue:
        """Convert the error that APIFlask raises if pydantic rejects a request."""
        if not isinstance(error.__cause__, ValidationError):
            raise error
        return service_error(InvalidRequest(*field_errors(error.__cause__)))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        # get_headers() includes werkzeug's Content-Type, text/html.
        headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
        code = error.code or 500
        message = error.description or error.name
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            message = f"this route does not support {request.method}; it supports {allowed}"
        elif isinstance(error, RouteNotFound):
            message = "there is no such page or route; /docs lists those of the API"
        return error_body(code, message), code, headers

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> ResponseReturnValue:
        where = {"method": request.method, "route": request.url_rule.rule if request.url_rule else "unknown"}
        log.error("unexpected error", exc_info=error, extra=where)
        return error_body(500, "unexpected error; the service log has the details"), 500
