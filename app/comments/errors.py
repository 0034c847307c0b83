"""What can go wrong, and the one body in which the service says so.

ServiceError
├── InvalidRequest      400  the request cannot be understood; each error names its field
├── Unauthorized        401  the moderator's token is missing or wrong
├── ThreadNotFound      404  nobody has commented on this content_id
├── CommentNotFound     404  there is no such comment to approve or delete
├── UnsupportedMedia    415  the body is not JSON
├── KeyReused           422  another comment came under this idempotency key
├── TooManyPosts        429  this client has posted as often as it may
└── StoreError          503  the store cannot answer now; nothing is known to be lost
"""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import orjson
from flask import Flask, Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

RETRY_AFTER = 2
"""Seconds that a client is asked to wait for the store: about as long as a failover or a throttled second takes."""

# The words of the contract; every other client error is INVALID.
STATUS_WORDS = {
    401: "UNAUTHORIZED",
    404: "NOT-FOUND",
    405: "NOT-ALLOWED",
    413: "TOO-LARGE",
    415: "UNSUPPORTED",
    422: "CONFLICT",
    500: "ERROR",
    503: "UNAVAILABLE",
}

log = logging.getLogger(__name__)


class FieldError(TypedDict):
    """One thing that is wrong with one field of the request; field is `body`, or the name of a key or parameter."""

    field: str
    message: str


class ServiceError(Exception):
    """An answer other than success, as a value."""

    code: ClassVar[int] = 500
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errors = errors


class InvalidRequest(ServiceError):
    code = 400

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error['field']}: {error['message']}" for error in errors), errors)


class UnsupportedMedia(ServiceError):
    code = 415


class Unauthorized(ServiceError):
    code = 401
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})

    def __init__(self) -> None:
        super().__init__("send the moderator's token as Authorization: Bearer TOKEN")


class ThreadNotFound(ServiceError):
    code = 404

    def __init__(self, content_id: int) -> None:
        super().__init__(f"content_id {content_id} not found")


class CommentNotFound(ServiceError):
    code = 404

    def __init__(self, content_id: int, comment_id: str) -> None:
        super().__init__(f"comment {comment_id} not found in content_id {content_id}")


class KeyReused(ServiceError):
    code = 422

    def __init__(self) -> None:
        error = FieldError(field="Idempotency-Key", message="was used for another comment: send a new one")
        super().__init__(f"{error['field']}: {error['message']}", [error])


class TooManyPosts(ServiceError):
    code = 429

    def __init__(self, *, seconds: int) -> None:
        super().__init__(f"too many posts from this address: wait {seconds} s")
        self.headers = {"Retry-After": str(seconds)}


class StoreError(ServiceError):
    code = 503
    headers = MappingProxyType({"Retry-After": str(RETRY_AFTER)})


class Json(Response):
    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002  # Werkzeug's signature
        """Return them as they are: Werkzeug would copy them, and look for what an answer with a body has not."""
        return self.headers


def json_response(body: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Json(orjson.dumps(body), code, headers, content_type="application/json")


def error_body(code: int, message: str, errors: Sequence[FieldError] = ()) -> dict[str, Any]:
    body: dict[str, Any] = {"status": STATUS_WORDS.get(code, "INVALID"), "message": message}
    if errors:
        body["errors"] = list(errors)
    return body


def register_error_handlers(app: Flask) -> None:
    @app.errorhandler(ServiceError)
    def service_error(error: ServiceError) -> Response:
        return json_response(error_body(error.code, error.message, error.errors), error.code, error.headers)

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> Response:
        log.error("the store failed: %s", error.message, exc_info=error.__cause__)
        body = error_body(error.code, "the comments cannot be reached right now; try again shortly")
        return json_response(body, error.code, error.headers)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        code = error.code or 500
        # get_headers also brings text/html, which is what this handler is there to replace.
        headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
        return json_response(error_body(code, error.description or error.name), code, headers)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected error", exc_info=error)
        return json_response(error_body(500, "an unexpected error; its cause is in the service's log"), 500)
