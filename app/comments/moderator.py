"""Who the moderator is: whoever sends the token."""

import hmac

from flask import current_app, request

from comments.errors import Unauthorized


def is_moderator() -> bool:
    """Tell whether the request carries the token, in a time that tells nothing about it."""
    token: str = current_app.extensions["settings"].moderator_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # A header is Latin-1 to WSGI, whatever its bytes were meant to be.
    same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), token.encode())
    return same and bool(token) and scheme.lower() == "bearer"


def require_moderator() -> None:
    """Raise Unauthorized unless it is the moderator who asks."""
    if not is_moderator():
        raise Unauthorized
