"""Where comments are kept: what every store promises, and how one is opened."""

from dataclasses import dataclass
from typing import Protocol

from comments.models import Comment, NewComment

PAGE_BYTES = 1024 * 1024
"""A page ends early at about this much text: what DynamoDB returns at once, and a small task holds eight times."""


@dataclass(frozen=True, slots=True)
class Page:
    """Comments of one thread in the order of their ids; more when others may follow the last of them."""

    comments: list[Comment]
    more: bool


class CommentStore(Protocol):
    """Both methods raise StoreError when the store cannot answer."""

    def add(self, new: NewComment) -> Comment:
        """Keep a comment for good: once this returns, it survives the death of the process and of the machine."""
        ...

    def list_page(self, content_id: int, *, after: str | None, limit: int) -> Page:
        """Return up to `limit` comments of a thread, behind the one with the id `after`."""
        ...

    def close(self) -> None: ...


def open_store(url: str) -> CommentStore:
    """Open sqlite:///PATH or dynamodb://TABLE, as Settings checked it."""
    scheme, _, rest = url.partition("://")
    # Each store imports what it needs on its own: boto3 alone would cost a start on SQLite 0.1 s.
    if scheme == "sqlite":
        from comments.store.sqlite import SQLiteStore  # noqa: PLC0415  # see above

        return SQLiteStore.open(rest.removeprefix("/"))
    from comments.store.dynamodb import DynamoDBStore  # noqa: PLC0415  # see above

    return DynamoDBStore(table=rest)
