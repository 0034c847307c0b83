"""Cursors, with which clients page through a thread and follow it without missing a comment.

A store that assigns ids before writes become visible (DynamoDB) can insert a comment *before* one that clients have
already seen, but only within the store's `overlap`. A cursor therefore contains its position and a `floor`: how far
back the next round of polling must start. Within a round, each page continues exactly where the previous one ended; at
the end of the thread, the next cursor returns to the floor. Pages may repeat recent comments, so clients drop comments
whose id they know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from comments import ids
from comments.stores.base import Page

START = ids.id_at(0, random=0)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A page starts with the first comment whose id is greater than `position`.

    Serialized as the position, and the floor (ticks) as 15 hexadecimal digits if there is one. The id of a comment is
    therefore a valid cursor.
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
    """Return the cursor of the next request, oldest first. `read_at` (ticks) must be before the page was read."""
    last = page.comments[-1]["id"] if page.comments else cursor.position if cursor else START
    floor = cursor.floor if cursor else 0
    settled = read_at - ids.ticks(overlap)
    if overlap and not floor and ids.tick_of(last) > settled:
        floor = settled
    if floor and not page.more:
        return Cursor(ids.id_at(floor, random=0))
    return Cursor(last, floor)


def links(
    cursor: Cursor | None,
    page: Page,
    parameters: Mapping[str, str | int],
    *,
    overlap: float,
    read_at: int,
    newest_first: bool,
) -> str:
    """Return the Link header of a page. Its URLs are relative to that of the request, and have its parameters.

    `next` is the next page, as long as there is one. `monitor` is where to poll for new comments (RFC 5989): on the
    last page, or, newest first, on the first page.
    """
    if not newest_first:
        after = following(cursor, page, overlap=overlap, read_at=read_at)
        return link(after, "next" if page.more else "monitor", parameters)
    found = [link(Cursor(page.comments[-1]["id"]), "next", {**parameters, "order": "desc"})] if page.more else []
    if cursor is None:
        newest = following(None, Page(page.comments[:1], more=False), overlap=overlap, read_at=read_at)
        found.append(link(newest, "monitor", parameters))
    return ", ".join(found)


def link(cursor: Cursor, relation: str, parameters: Mapping[str, str | int]) -> str:
    return f'<?{urlencode({**parameters, "after": str(cursor)}, quote_via=quote, safe="/")}>; rel="{relation}"'
