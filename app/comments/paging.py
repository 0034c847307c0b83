"""Cursors: how a client pages through a thread, and follows it without missing a comment.

A store whose ids are assigned before the write is visible (DynamoDB) can publish a comment *before* one that readers
have already seen. Such a comment appears within the store's `overlap`. So a cursor remembers, beside its position, how
far back the next round of polling must start (`floor`). Within a round, pages continue exactly where the last one
ended; at the end of the thread, the next cursor returns to the floor. Pages may therefore repeat recent comments, and
clients drop those whose id they know.
"""

from dataclasses import dataclass

from comments import ids
from comments.stores import Page

START = ids.id_at(0, random=0)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A page starts with the first comment whose id is greater than `position`.

    As text: the position, and the floor (ticks) as 15 hexadecimal digits if there is one. So the id of a comment is a
    cursor too.
    """

    position: str
    floor: int = 0

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        position, _, floor = text.partition(".")
        return cls(position, int(floor or "0", 16))

    def __str__(self) -> str:
        return f"{self.position}.{self.floor:015x}" if self.floor else self.position


def following(cursor: Cursor | None, page: Page, *, overlap: float, read_at: int) -> Cursor:
    """Return the cursor of the next request. `read_at` (ticks) must be before the page was read."""
    last = page.comments[-1]["id"] if page.comments else cursor.position if cursor else START
    floor = cursor.floor if cursor else 0
    settled = read_at - ids.ticks(overlap)
    if overlap and not floor and ids.tick_of(last) > settled:
        floor = settled
    if floor and not page.more:
        return Cursor(ids.id_at(floor, random=0))
    return Cursor(last, floor)


def link(path: str, cursor: Cursor, *, more: bool, **parameters: object) -> str:
    """Return the Link header. `results` tells whether the next page has comments now.

    At the end of a thread `results` comes first: clients that search for the text `>; rel="next"` stop there, as they
    did when the last page had no link.
    """
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    url = f"{path}?{query}&after={cursor}"
    return f'<{url}>; rel="next"; results="true"' if more else f'<{url}>; results="false"; rel="next"'
