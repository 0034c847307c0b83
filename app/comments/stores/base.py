"""The interface of all stores, and helpers that they share."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from comments.comment import ANYONE, Author, Comment, NewComment, compact

PAGE_BYTES = 1024 * 1024
"""Approximate size of a page in bytes of addresses and texts: DynamoDB returns no more than 1 MB per query."""

SCAN_PAGE = 500
"""Comments per read of an export."""

KEY_SECONDS = 24 * 60 * 60
"""Lifetime of an idempotency key."""


@dataclass(frozen=True, slots=True)
class Page:
    """Comments in the requested order. `more` is true if others may follow."""

    comments: list[Comment]
    more: bool


@dataclass(frozen=True, slots=True)
class Notification:
    """An item of the outbox: a comment that a target is notified of. Ids are unique, and sort by time."""

    id: str
    event: str
    content_id: int
    comment_id: str


CREATED, EDITED = "comment.created", "comment.edited"
"""Events of notifications."""


class CommentStore(Protocol):
    """A comment is either published or held for approval. All methods raise StoreError if the store fails."""

    overlap: float
    """Seconds within which a comment can appear before one that is already visible; 0 if that cannot happen."""

    targets: Collection[str]
    """Targets of notifications. `add` and `edit` put one for each into the outbox, in the comment's transaction."""

    def add(self, new: NewComment, *, key: str = "", held: bool = False, by: Author = ANYONE) -> Comment:
        """Store a comment. Once this returns, it survives a crash of the process and of the machine.

        If the idempotency key was used in this thread within 24 hours, nothing is stored, as with `find_replay`.
        """
        ...

    def find_replay(self, new: NewComment, key: str, *, by: Author = ANYONE) -> Comment | None:
        """Return the comment that was stored with this idempotency key within 24 hours, as it was then.

        Raises KeyReused if it was a different comment. A concurrent request can still store one with this key.
        """
        ...

    def get(self, content_id: int, comment_id: str) -> Comment | None:
        """Return a published comment. The id of a pending comment finds the one that was published on its approval."""
        ...

    def list_comments(self, content_id: int, *, after: str = "", limit: int, newest_first: bool = False) -> Page:
        """Return up to `limit` published comments that follow the id `after` in the requested order."""
        ...

    def list_held(self, *, after: str = "", limit: int) -> Page:
        """Return up to `limit` held comments of all threads that follow the id `after`."""
        ...

    def list_recent(self, *, after: str = "", limit: int) -> Page:
        """Return up to `limit` comments of all threads, published or held, newest first, that are older than `after`.

        On DynamoDB, this needs an index, which lags by milliseconds, and lacks what release 0.2 wrote until `rebuild`.
        """
        ...

    def count(self, content_ids: Collection[int]) -> dict[int, int]:
        """Return the number of published comments of each thread.

        On DynamoDB, these are counters: up to a minute old, and approximate after failures until `rebuild`.
        """
        ...

    def approve(self, content_id: int, comment_id: str) -> Comment | None:
        """Publish a held comment under a new id, so that clients that follow the thread see it.

        Approving it again returns the same published comment. None if there is no such comment. Its author is trusted
        from now on.
        """
        ...

    def find(self, content_id: int, comment_id: str) -> Comment | None:
        """Return a published or held comment, as `get` does."""
        ...

    def edit(self, content_id: int, comment_id: str, text: str, edited_at: str) -> Comment | None:
        """Change the text of a published or held comment. None if there is none any more."""
        ...

    def delete(self, content_id: int, comment_id: str, *, distrust: bool = False) -> bool:
        """Delete a published or held comment; return False if there is none.

        With distrust, its author is no longer trusted.
        """
        ...

    def purge(self) -> None:
        """Overwrite what remains of deleted comments in a SQLite file. Writes wait: 4 s per 100 MB."""
        ...

    def is_trusted(self, author: str) -> bool:
        """Return whether a comment of this author was approved. `author` is the hash of a token."""
        ...

    def scan(self) -> Iterator[Comment]:
        """Yield all comments, held ones first: one approved during the scan appears twice rather than not at all."""
        ...

    def move(self, content_id: int, target: int, page: str) -> int:
        """Move all comments of a thread to another one, with their ids and notifications. Safe to repeat.

        Returns their number. `page` is the target's canonical address; empty for a thread without one.
        """
        ...

    def restore(self, comments: Sequence[Comment], *, dry_run: bool = False) -> int:
        """Store comments with their ids and times, except ids that the thread has, or had until their approval.

        Returns the number stored; with dry_run, only the number that would be. Ids must be unique within a call.
        """
        ...

    def rebuild(self) -> int:
        """Correct the index of `list_recent` and what `count` returns. Returns the number of published comments."""
        ...

    def list_outbox(self, target: str, *, limit: int) -> list[Notification]:
        """Return the oldest undelivered notifications of a target."""
        ...

    def remove_from_outbox(self, target: str, notification_id: str) -> None: ...

    def replace_lease(self, old: str, new: str) -> str:
        """Replace the value of the lease, at first empty, if it is `old`. Returns its value afterwards."""
        ...

    def ping(self) -> None:
        """Check that the store responds."""
        ...

    def close(self) -> None: ...


def scan_held(store: CommentStore) -> Iterator[Comment]:
    return read_all(lambda after: store.list_held(after=after, limit=SCAN_PAGE))


def read_all(read: Callable[[str], Page]) -> Iterator[Comment]:
    """Yield the comments of all pages. `read` returns the page after an id."""
    after, more = "", True
    while more:
        page = read(after)
        yield from page.comments
        more = page.more
        after = page.comments[-1]["id"] if more else ""


def hash_of(*parts: object) -> str:
    """Hash the key under which a write is remembered, so that idempotency keys are never stored in plain text.

    The parts are a thread and an idempotency key, or "approve", a thread and a comment's id, or "trust" and an author.
    """
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def fingerprint(new: NewComment, by: Author) -> str:
    """Identify the content of a comment without storing it: a retry must have the same one."""
    content: list[object] = [new.content_id, new.email, new.comment]  # as release 0.2
    if more := compact(new.model_dump(exclude={"content_id", "email", "comment"}) | {"author": by.token_hash}):
        content.append(more)
    return hashlib.sha256(orjson.dumps(content)).hexdigest()
