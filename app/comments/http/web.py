"""What all routes share: the service's objects, authentication, and checks of requests."""

import hmac
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

import gevent
from apiflask import APIBlueprint, APIFlask, HTTPTokenAuth
from flask import Response, abort, current_app, request
from gunicorn.http.errors import ParseException
from pydantic import ValidationError
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout
from werkzeug.routing import BaseConverter

from comments.comment import Model
from comments.config import Settings
from comments.errors import MAX_BODY, FieldError, InvalidRequest, Unauthorized, field_errors
from comments.fields import PATH_VARIABLES
from comments.http.schemas import CountQuery
from comments.stores import CommentStore

BODY_TIMEOUT = 30
"""Seconds to receive a request body. Without a limit, slow clients could occupy every connection."""

PUBLIC_PATHS = r"/api/(comment/.*|status)"
"""Paths that pages of other sites may call. Moderation is not one of them."""

QUERIES: dict[str, type[Model]] = {}
"""Models of query parameters by endpoint; they reject unknown parameters. Other endpoints have none."""

INCOMPLETE = FieldError(field="body", message="is incomplete or its chunks are malformed")

moderator = HTTPTokenAuth(
    security_scheme_name="moderator", description="The moderator token, COMMENTS_MODERATOR_TOKEN."
)


def store() -> CommentStore:
    opened: CommentStore = current_app.extensions["store"]
    return opened


def settings() -> Settings:
    loaded: Settings = current_app.extensions["settings"]
    return loaded


def is_moderator(*_: Any) -> bool:
    """Whether the request has the moderator token."""
    return "Authorization" in request.headers  # authenticate() has rejected all others


@moderator.error_processor
def unauthorized(*_: Any) -> NoReturn:
    raise Unauthorized


moderator.verify_token(is_moderator)


class ThreadConverter(BaseConverter):
    """A content_id in the path of a comment. Words of other routes, as in /api/comment/list/1, are excluded."""

    part_isolating = True  # it matches no slash
    regex = r"(?!list\b)[^/]+"


def init_app(app: APIFlask) -> None:
    """Call this before the blueprints are registered, which use the converter."""
    app.url_map.converters["thread"] = ThreadConverter
    app.url_value_preprocessor(authenticate)  # not before_request, which runs after parse_path
    app.after_request(complete)


def init_blueprint(blueprint: APIBlueprint) -> None:
    """Check the requests of an API. A 400 names each invalid value."""
    blueprint.url_value_preprocessor(parse_path)
    blueprint.before_request(check_query)


def authenticate(*_unused: Any) -> None:
    """Reject a wrong or malformed Authorization header on every route; ignoring it would look like accepting it."""
    given = request.headers.get("Authorization")
    if given is None:
        return
    token = settings().moderator_token.get_secret_value()
    if not token:
        raise Unauthorized("moderation is disabled, so requests must not have an Authorization header")
    scheme, _, credential = given.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(credential.strip().encode(), token.encode()):
        raise Unauthorized


def complete(response: Response) -> Response:
    """Complete headers: CORS and OPTIONS depend on the request."""
    if settings().cors_origins not in ((), ("*",)) and re.fullmatch(PUBLIC_PATHS, request.path):
        response.vary.add("Origin")  # also if this origin is not allowed: a cache must not give it to one that is
    if request.method == "OPTIONS":  # Flask's response is an empty page
        response.status_code = 204
        del response.headers["Content-Type"]
    return response


def parse_path(_: str | None, values: dict[str, Any] | None) -> None:
    """Validate and convert the variables of a route. An invalid value is a 400, not a 404."""
    values = values or {}
    for name, value in values.items():
        try:
            values[name] = PATH_VARIABLES[name].validate_python(value)
        except ValidationError as invalid:
            field = "id" if name == "comment_id" else name
            raise InvalidRequest(FieldError(field=field, message=field_errors(invalid)[0]["message"])) from None


def check_query() -> None:
    """Reject query parameters that are repeated, or that the route does not have."""
    model = QUERIES.get(request.endpoint or "")
    lists = [] if model is CountQuery else request.args.lists()
    repeated = [name for name, values in lists if len(values) > 1]
    unknown = [] if model else [name for name in request.args if name not in repeated]
    if repeated or unknown:
        problems = [(name, "must be given once") for name in repeated] + [(name, "is unknown") for name in unknown]
        raise InvalidRequest(*(FieldError(field=name or '""', message=message) for name, message in problems))


View = TypeVar("View", bound=Callable[..., Any])


def takes_query(blueprint: APIBlueprint, model: type[Model]) -> Callable[[View], View]:
    """Decorate a view that receives the query parameters as `query`."""

    def decorate(view: View) -> View:
        QUERIES[f"{blueprint.name}.{view.__name__}"] = model
        return blueprint.input(model, location="query", arg_name="query")(view)

    return decorate


def receives_json(view: View) -> View:
    """Decorate a view whose body must be JSON. The body is received before it is validated."""

    @wraps(view)
    def receive(*arguments: Any, **values: Any) -> Any:
        _check_media_type()
        _receive_body()
        return view(*arguments, **values)

    return cast(View, receive)


def _check_media_type() -> None:
    if not request.mimetype:
        abort(415, "Content-Type is missing; it must be application/json")
    if request.mimetype != "application/json":
        abort(415, f"Content-Type must be application/json, not {request.mimetype}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        abort(415, "Content-Encoding must be identity: send the body uncompressed")


def _receive_body() -> None:
    """Receive the whole body, which Flask keeps."""
    too_large = f"the body must have at most {MAX_BODY} bytes"
    slow = RequestTimeout(f"the body did not arrive within {BODY_TIMEOUT} s")
    try:
        with gevent.Timeout(BODY_TIMEOUT, slow):
            body = request.get_data()
            # werkzeug cuts longer chunked bodies off here, and doesn't notice bodies shorter than their Content-Length.
            if len(body) == MAX_BODY and request.environ["wsgi.input"].read(1):
                abort(413, too_large)
    except RequestEntityTooLarge:
        abort(413, too_large)
    except (ClientDisconnected, OSError, ParseException):  # gunicorn raises the last one for malformed chunks
        raise InvalidRequest(INCOMPLETE) from None
    if len(body) < (request.content_length or 0):
        raise InvalidRequest(INCOMPLETE)
