"""Hold rules, COMMENTS_HOLD: comments that await the moderator's approval before they are published."""

import re
from collections.abc import Callable
from functools import cache

from comments.config import Settings

LINK = re.compile(r"https?://|\bwww\.", re.IGNORECASE)


def needs_approval(settings: Settings, is_trusted: Callable[[str], bool], *, name: str, text: str, author: str) -> bool:
    """Return whether a rule matches. `author` is the hash of the author's token, if there is one."""
    rules, content = settings.hold, f"{name}\n{text}"
    return (
        "all" in rules
        or ("links" in rules and LINK.search(content) is not None)
        or ("words" in rules and _any_of(settings.hold_words).search(content) is not None)
        or ("newcomers" in rules and not (author and is_trusted(author)))
    )


@cache
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Match whole words, with any white space between those of a phrase."""
    alternatives = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?<!\w)({alternatives})(?!\w)", re.IGNORECASE)
