"""The production store: one DynamoDB table, shared by all tasks. dynamodb_items.py describes its items."""

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from operator import itemgetter
from typing import Any

from comments.comment import ANYONE, Author, Comment, NewComment, compact
from comments.config import TARGET_SETTINGS
from comments.errors import StoreError
from comments.ids import id_at, now
from comments.stores.base import (
    CREATED,
    EDITED,
    PAGE_BYTES,
    SCAN_PAGE,
    Notification,
    Page,
    read_all,
    scan_held,
)
from comments.stores.dynamodb_items import (
    EXISTS,
    IS_NEW,
    PARTITION_KEY,
    RECENT,
    SHARDS,
    SORT_KEY,
    TTL_ATTRIBUTE,
    comment_key,
    comment_of,
    content_id_of,
    delete_unchanged,
    hashed_key,
    item_of,
    key_of,
    notification_of,
    outbox_item,
    put,
    put_key,
    replayed,
    shard_of,
    unchanged,
)
from comments.stores.dynamodb_table import LONGEST_WRITE, ConditionFailed, Item, Table, in_parallel

log = logging.getLogger(__name__)

CLOCK_SKEW = 5
"""Seconds by which the clocks of tasks may differ. Fargate keeps them within milliseconds."""

COUNT_SECONDS = 60
"""How long a process keeps the counts that it has read."""
MAX_COUNTS = 10_000
"""Counts that a process keeps."""

MAX_NOTIFICATIONS = 98
"""Newest notifications of a comment that move with it. AWS: a transaction has up to 100 items."""

MAX_OUTBOX = 5000
"""Undelivered notifications of a target that move with their comments: those that one query returns (1 MB)."""


class DynamoDBStore:
    """A CommentStore on a table that exists."""

    overlap = float(LONGEST_WRITE + CLOCK_SKEW)
    targets: Collection[str] = ()

    def __init__(self, table: str, *, region: str | None = None, patient: bool = False) -> None:
        self._table = Table(table, region=region, patient=patient)
        self._counts: dict[int, tuple[int, float]] = {}
        """Counts of threads, and when they were read."""

    def add(self, new: NewComment, *, key: str = "", held: bool = False, by: Author = ANYONE) -> Comment:
        comment = new.stored(id_at(now()), held=held, by=by)
        changes = [put(item_of(comment)), *self._notifications(CREATED, comment)]
        if key:  # in one transaction, whose condition lets only one of several attempts succeed
            changes.insert(0, put_key(new, key, by, comment))
        if len(changes) == 1:
            self._table.put(item_of(comment))  # costs half of a transaction
        elif (seen := self._table.transact(*changes)) is not None:
            return replayed(new, by, seen)
        if not held:
            self._add_to_count(new.content_id, 1)
        return comment

    def find_replay(self, new: NewComment, key: str, *, by: Author = ANYONE) -> Comment | None:
        seen = self._table.get(hashed_key(new.content_id, key))
        # DynamoDB deletes expired items up to days late, so compare the time as well.
        return replayed(new, by, seen) if seen and int(seen[TTL_ATTRIBUTE]["N"]) > time.time() else None

    def get(self, content_id: int, comment_id: str) -> Comment | None:
        return self._find(content_id, comment_id, held=False) or self._find_approved(content_id, comment_id)

    def list_comments(self, content_id: int, *, after: str = "", limit: int, newest_first: bool = False) -> Page:
        return self._query(f"thread#{content_id}", after=after, limit=limit, newest_first=newest_first)

    def list_held(self, *, after: str = "", limit: int) -> Page:
        pages = [self._query(f"held#{shard}", after=after, limit=limit) for shard in range(SHARDS)]
        return _up_to_a_megabyte(_merge(pages, limit))

    def list_recent(self, *, after: str = "", limit: int) -> Page:
        """Find the keys in the index, then read the comments, except those that were deleted since."""
        pages = [
            self._query(str(shard), after=after, limit=limit, newest_first=True, index=True) for shard in range(SHARDS)
        ]
        found = _merge(pages, limit, newest_first=True)
        keys = [comment_key(each.get("content_id", 0), each["id"], held="held" in each) for each in found.comments]
        comments = sorted(map(comment_of, self._table.read(keys)), key=itemgetter("id"), reverse=True)
        return _up_to_a_megabyte(Page(comments, more=found.more and bool(comments)))

    def count(self, content_ids: Collection[int]) -> dict[int, int]:
        oldest = time.monotonic() - COUNT_SECONDS
        known = {each: self._counts[each] for each in content_ids if self._counts.get(each, (0, 0.0))[1] > oldest}
        if unknown := [each for each in dict.fromkeys(content_ids) if each not in known]:
            items = self._table.read([key_of(f"count#{each}") for each in unknown], consistent=False)
            counts = {content_id_of(item): int(item["published"]["N"]) for item in items}
            known |= {each: (max(counts.get(each, 0), 0), time.monotonic()) for each in unknown}
            self._counts = (self._counts if len(self._counts) < MAX_COUNTS else {}) | known
        return {each: known[each][0] for each in content_ids}

    def approve(self, content_id: int, comment_id: str) -> Comment | None:
        while held := self._find(content_id, comment_id, held=True):
            published: Comment = held | {"id": id_at(now())}
            del published["held"]
            approval = hashed_key("approve", content_id, comment_id) | {"id": {"S": published["id"]}}
            author = held.get("author")
            trust = [hashed_key("trust", author)] if author else []
            puts = map(put, (item_of(published), approval, *trust))
            if self._table.transact(delete_unchanged(held), *puts) is None:
                self._add_to_count(content_id, 1)
                return published
        return self._find_approved(content_id, comment_id)  # possibly by a concurrent request

    def find(self, content_id: int, comment_id: str) -> Comment | None:
        return self._find(content_id, comment_id, held=True) or self.get(content_id, comment_id)

    def edit(self, content_id: int, comment_id: str, text: str, edited_at: str) -> Comment | None:
        for held in (True, False):
            comment = self._find(content_id, comment_id, held=held)
            if not comment:
                continue
            update = {
                "Key": comment_key(content_id, comment_id, held=held),
                "ConditionExpression": EXISTS,
                "UpdateExpression": "SET #text = :text, edited_at = :edited_at",
                "ExpressionAttributeNames": {"#text": "comment"},
                "ExpressionAttributeValues": {":text": {"S": text}, ":edited_at": {"S": edited_at}},
            }
            if self._table.transact({"Update": update}, *self._notifications(EDITED, comment)) is None:
                return comment | {"comment": text, "edited_at": edited_at}
            # It was deleted or approved in the meantime.
        return None

    def move(self, content_id: int, target: int, page: str) -> int:
        comments = [comment for comment in scan_held(self) if comment["content_id"] == content_id]
        comments += read_all(lambda after: self.list_comments(content_id, after=after, limit=SCAN_PAGE))
        notifications: dict[str, list[dict[str, Any]]] = {}
        for name in TARGET_SETTINGS:
            for each in self.list_outbox(name, limit=MAX_OUTBOX):
                if each.content_id == content_id and (comment := self.find(content_id, each.comment_id)):
                    # The other thread knows no ids from before an approval. A notification that was delivered in the
                    # meantime is stored, and delivered, again.
                    moved = replace(each, content_id=target, comment_id=comment["id"])
                    notifications.setdefault(comment["id"], []).append(put(outbox_item(name, moved)))
        published: list[bool] = []
        """Of each published comment that was moved, whether the target lacked it, as it may after two imports."""

        def move_one(comment: Comment) -> bool:
            is_new = not self._find(target, comment["id"], held=False)
            more = notifications.get(comment["id"], [])[-MAX_NOTIFICATIONS:]
            is_moved = self._move(comment, target, page, more)
            if is_moved and not comment.get("held"):
                published.append(is_new)
            return is_moved

        try:
            return sum(in_parallel(move_one, comments))
        finally:  # also count those moved before a failure or Ctrl-C
            self._add_to_count(content_id, -len(published))
            self._add_to_count(target, sum(published))

    def delete(self, content_id: int, comment_id: str, *, distrust: bool = False) -> bool:
        for held in (True, False):
            comment = self._find(content_id, comment_id, held=held)
            if not comment:
                continue
            if distrust and (author := comment.get("author")):
                self._table.delete(hashed_key("trust", author))
            deleted = self._table.delete(comment_key(content_id, comment_id, held=held))
            if deleted and not held:
                self._add_to_count(content_id, -1)
            # If the item is gone, it was either approved concurrently or deleted by an attempt whose response was lost.
            return deleted or not self._table.get(hashed_key("approve", content_id, comment_id))
        return False

    def purge(self) -> None:
        """A table has no remains of deleted items."""

    def is_trusted(self, author: str) -> bool:
        return self._table.get(hashed_key("trust", author)) is not None

    def scan(self) -> Iterator[Comment]:
        yield from scan_held(self)
        for items in self._scan("thread"):
            yield from map(comment_of, items)

    def restore(self, comments: Sequence[Comment], *, dry_run: bool = False) -> int:
        published: list[int] = []
        """Threads of the comments that are stored."""

        def restore_one(comment: Comment) -> bool:
            stored = self._restore(comment, dry_run=dry_run)
            if stored and not dry_run and not comment.get("held"):
                published.append(comment["content_id"])
            return stored

        try:
            return sum(in_parallel(restore_one, comments))
        finally:  # also count those stored before a failure or Ctrl-C
            for content_id, count in Counter(published).items():
                self._add_to_count(content_id, count)

    def rebuild(self) -> int:
        counts = Counter({content_id_of(item): 0 for items in self._scan("count") for item in items})
        for kind in ("held", "thread"):
            for items in self._scan(kind):
                in_parallel(self._add_to_index, [item for item in items if RECENT not in item])
                if kind == "thread":
                    counts.update(map(content_id_of, items))
        items = [key_of(f"count#{each}") | {"published": {"N": str(count)}} for each, count in counts.items()]
        in_parallel(self._table.put, items)
        return counts.total()

    def list_outbox(self, target: str, *, limit: int) -> list[Notification]:
        return [*map(notification_of, self._query_items(f"outbox#{target}", limit=limit)["Items"])]

    def remove_from_outbox(self, target: str, notification_id: str) -> None:
        self._table.delete(key_of(f"outbox#{target}", notification_id))

    def replace_lease(self, old: str, new: str) -> str:
        key = key_of("lease#outbox")
        with suppress(ConditionFailed):  # another process holds it, or a lost response was that of this change
            self._table.put(
                key | {"value": {"S": new}},
                ConditionExpression="#value = :old" + ("" if old else f" OR {IS_NEW}"),
                ExpressionAttributeNames={"#value": "value"},
                ExpressionAttributeValues={":old": {"S": old}},
            )
            return new
        item = self._table.get(key)
        return str(item["value"]["S"]) if item else ""

    def ping(self) -> None:
        self._table.get(key_of("ping"))

    def close(self) -> None:
        self._table.close()

    def _scan(self, kind: str) -> Iterator[list[Item]]:
        """Yield all items of a kind, page by page."""
        return self._table.scan(f"begins_with({PARTITION_KEY}, :kind)", {":kind": {"S": f"{kind}#"}})

    def _add_to_index(self, item: Item) -> None:
        with suppress(ConditionFailed):  # it was deleted or approved in the meantime
            self._table.update(
                {name: item[name] for name in (PARTITION_KEY, SORT_KEY)},
                f"SET {RECENT} = :shard",
                {":shard": {"S": shard_of(item[SORT_KEY]["S"])}},
                ConditionExpression=EXISTS,
            )

    def _add_to_count(self, content_id: int, change: int) -> None:
        """Change the counter of a thread. The comments themselves matter more: after a failure, it is wrong."""
        try:
            change_by = {":change": {"N": str(change)}}
            self._table.update(key_of(f"count#{content_id}"), "ADD published :change", change_by)
        except StoreError as error:
            log.warning("the count of content_id %s is wrong: %s", content_id, error.message)

    def _restore(self, comment: Comment, *, dry_run: bool) -> bool:
        """Store a comment unless its id exists, published or held, or existed until its approval."""
        content_id, comment_id, held = comment["content_id"], comment["id"], bool(comment.get("held"))
        approval = hashed_key("approve", content_id, comment_id)
        own_key = comment_key(content_id, comment_id, held=held)
        # Not only by the condition below: a repeated import finds most comments, and a failed write costs more.
        is_known = any(map(self._table.get, (own_key, approval))) or self._find(content_id, comment_id, held=not held)
        if is_known or dry_run:
            return not is_known
        try:
            self._table.put(item_of(comment), ConditionExpression=IS_NEW)
        except ConditionFailed:
            return False
        return True

    def _move(self, comment: Comment, target: int, page: str, more: Sequence[dict[str, Any]]) -> bool:
        """Move a comment together with more changes. Returns False if it is gone."""
        current: Comment | None = comment
        while current:
            moved = put(item_of(compact(current | {"content_id": target, "page": page})))
            if current.get("held"):  # its key stays the same
                moved["Put"] |= unchanged(current)
                changes = [moved]
            else:
                changes = [delete_unchanged(current), moved]
            if self._table.transact(*changes, *more) is None:
                return True
            current = self._find(current["content_id"], current["id"], held="held" in current)
        return False

    def _notifications(self, event: str, comment: Comment) -> list[dict[str, Any]]:
        """Return the changes that put a comment into the outbox."""
        content_id, comment_id = comment["content_id"], comment["id"]
        return [
            put(outbox_item(name, Notification(id_at(now()), event, content_id, comment_id))) for name in self.targets
        ]

    def _find_approved(self, content_id: int, comment_id: str) -> Comment | None:
        """Return the published comment that had this id while it was pending."""
        approved = self._table.get(hashed_key("approve", content_id, comment_id))
        return self._find(content_id, approved["id"]["S"], held=False) if approved else None

    def _find(self, content_id: int, comment_id: str, *, held: bool) -> Comment | None:
        item = self._table.get(comment_key(content_id, comment_id, held=held))
        comment = comment_of(item) if item else None
        # The key of a held comment does not contain the thread.
        return comment if comment and comment["content_id"] == content_id else None

    def _query(self, partition: str, *, limit: int, index: bool = False, **order: Any) -> Page:
        """Read comments of a partition, or only their keys from one of the index."""
        response = self._query_items(partition, limit=limit + 1, index=index, **order)
        comments = [comment_of(item) for item in response["Items"]]
        return Page(comments[:limit], more=len(comments) > limit or "LastEvaluatedKey" in response)

    def _query_items(
        self, partition: str, *, limit: int, after: str = "", newest_first: bool = False, index: bool = False
    ) -> Any:
        behind = f" AND {SORT_KEY} {'<' if newest_first else '>'} :after" if after else ""
        return self._table.query(
            f"{RECENT if index else PARTITION_KEY} = :partition{behind}",
            {":partition": {"S": partition}} | ({":after": {"S": after}} if after else {}),
            ScanIndexForward=not newest_first,
            Limit=limit,
            **({"IndexName": RECENT} if index else {"ConsistentRead": True}),
        )


def _merge(pages: Sequence[Page], limit: int, *, newest_first: bool = False) -> Page:
    """Merge pages of all shards. If a shard's page is incomplete, comments after its end are left for the next page."""
    ends = {page.comments[-1]["id"] for page in pages if page.more}
    comments = sorted((each for page in pages for each in page.comments), key=itemgetter("id"), reverse=newest_first)
    complete = next((index + 1 for index, each in enumerate(comments) if each["id"] in ends), len(comments))
    return Page(comments[: min(complete, limit)], more=bool(ends) or complete > limit)


def _up_to_a_megabyte(page: Page) -> Page:
    sizes = accumulate(len(comment["comment"].encode()) for comment in page.comments)
    fitting = [comment for comment, size in zip(page.comments, sizes, strict=True) if size <= PAGE_BYTES]
    return Page(fitting, more=page.more or len(fitting) < len(page.comments))
