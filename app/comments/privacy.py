"""How emails are given to everyone: as they are, masked, or not at all. The moderator always sees them."""

from collections.abc import Callable
from typing import Any

from comments.models import Comment

Shown = Callable[[list[Comment]], Any]


def show(comments: list[Comment]) -> list[Comment]:
    return comments


def mask(comments: list[Comment]) -> list[Comment]:
    """Leave the first character and the domain, which tell comments of several people apart and not who they are."""
    for comment in comments:
        local_part, _, domain = comment["email"].partition("@")
        comment["email"] = f"{local_part[0]}***@{domain}"
    return comments


def hide(comments: list[Comment]) -> list[dict[str, Any]]:
    return [{key: value for key, value in comment.items() if key != "email"} for comment in comments]


SHOWN: dict[str, Shown] = {"show": show, "mask": mask, "hide": hide}
