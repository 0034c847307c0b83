"""Where comments are kept: what every store promises, and how one is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from comments.models import Comment, NewComment

PAGE_BYTES = 1024 * 1024
"""A page ends early at about this much text: what DynamoDB returns at once, and a small task holds sixteen times."""

KEY_SECONDS = 24 * 60 * 60
"""How long a retry under the same idempotency key is recognized."""


@dataclass(frozen=True, slots=True)
class Page:
    """Comments in the order of their ids; more when others may follow the last of them."""

    comments: list[Comment]
    more: bool


@dataclass(frozen=True, slots=True)
class Scanned:
    """A part of all comments, which may be empty before the end; after leads to the next part, None ends."""

    comments: list[Comment]
    after: str | None


class CommentStore(Protocol):
    """Every method raises StoreError when the store cannot answer.

    A comment is listed, or held until a moderator approves it; a held one carries `held: True`, a listed one no such
    key. An approved comment is listed under the id it had, so a reader who follows `after` may be past it already.
    """

    def add(self, new: NewComment, *, idempotency_key: str | None = None, held: bool = False) -> Comment:
        """Keep a comment for good: once this returns, it survives the death of the process and of the machine.

        Under a key that was used in the last 24 hours nothing is added: the comment of the first time is returned as
        it was then, even if it was approved or deleted since; raises KeyReused if that was another comment.
        """
        ...

    def list_page(self, content_id: int, *, after: str | None, limit: int) -> Page:
        """Return up to `limit` listed comments of a thread, behind the one with the id `after`."""
        ...

    def held_page(self, *, after: str | None, limit: int) -> Page:
        """Return up to `limit` held comments of all threads, behind the one with the id `after`."""
        ...

    def approve(self, content_id: int, comment_id: str) -> bool:
        """List a held comment; True when it is listed now, so also the second time, False when there is none."""
        ...

    def delete(self, content_id: int, comment_id: str) -> bool:
        """Remove a comment for good, listed or held; False when there is none."""
        ...

    def scan(self, *, after: str | None, limit: int) -> Scanned:
        """Return up to about `limit` of all comments, held ones first, behind the token `after` of the part before.

        The order is the store's own and stays, so that an export can go on where it stopped, in another process too.
        A comment that is there from the first part to the last is met; one approved meanwhile may be met twice.
        """
        ...

    def restore(self, comments: Sequence[Comment]) -> int:
        """Keep comments under their own ids and times, held ones held; return how many were new.

        An id that is there, listed or held, is left as it is. Ids must be UUIDv7, as `ids.py` makes them.
        """
        ...

    def ping(self) -> None:
        """Return when the store answers, at the least cost."""
        ...

    def close(self) -> None: ...


def open_store(url: str) -> CommentStore:
    """Open sqlite:///PATH or dynamodb://TABLE, as Settings checked it."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        from comments.store.sqlite import SQLiteStore  # noqa: PLC0415  # it imports this module

        return SQLiteStore.open(rest.removeprefix("/"))
    from comments.store.dynamodb import DynamoDBStore  # noqa: PLC0415  # botocore costs a start 0.1 s
    from comments.store.dynamodb_client import TableClient  # noqa: PLC0415  # botocore costs every start on SQLite

    return DynamoDBStore(TableClient(rest))
