"""The production store: one DynamoDB table, shared by all tasks.

pk                    sk
thread#CONTENT_ID     ID     a published comment
held#SHARD            ID     a comment that awaits approval
key#SHA256            -      an idempotency key, until expires_at, an approval, or trust in an author
count#CONTENT_ID      -      the number of published comments
outbox#TARGET         ID     a notification that is not delivered yet
lease#outbox          -      the lease of the process that delivers them

The attribute `recent` of comments is the shard of an index, which sorts the comments of all threads by id.
"""

import json
import logging
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import accumulate
from operator import itemgetter
from typing import Any, Literal, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from comments.config import TARGET_SETTINGS
from comments.errors import KeyReused, StoreError
from comments.ids import id_at, now
from comments.schemas import ANYONE, Author, Comment, NewComment, compact
from comments.stores.base import (
    CREATED,
    EDITED,
    KEY_SECONDS,
    PAGE_BYTES,
    SCAN_PAGE,
    Notification,
    Page,
    fingerprint,
    hash_of,
    read_all,
    scan_held,
)
from comments.stores.dynamodb_table import LONGEST_WRITE, ConditionFailed, Item, Table

log = logging.getLogger(__name__)

Argument = TypeVar("Argument")
Result = TypeVar("Result")

CLOCK_SKEW = 5
"""Seconds by which the clocks of tasks may differ. Fargate keeps them within milliseconds."""

SERIALIZER, DESERIALIZER = TypeSerializer(), TypeDeserializer()

PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE = "pk", "sk", "expires_at"
EXISTS, IS_NEW = f"attribute_exists({PARTITION_KEY})", f"attribute_not_exists({PARTITION_KEY})"
"""Conditions on the item that is changed."""
KEY_SCHEMA: tuple[tuple[str, Literal["HASH", "RANGE"]], ...] = ((PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE"))

SHARDS = 4
"""Partitions of held comments, and of the index. Each supports 1,000 writes per second; listing a page takes one query
per shard."""

RECENT = "recent"
"""Name of the index, and of its partition key."""
INDEX_SCHEMA: tuple[tuple[str, Literal["HASH", "RANGE"]], ...] = ((RECENT, "HASH"), (SORT_KEY, "RANGE"))

COUNT_SECONDS = 60
"""How long a process keeps the counts that it has read."""
MAX_COUNTS = 10_000
"""Counts that a process keeps."""

MAX_OUTBOX = 5000
"""Undelivered notifications of a target that move with their comments: those that one query returns (1 MB)."""

THREADS = 8
"""Parallel writes of commands: few enough for one partition (a thread), which supports 1,000 writes per second."""


class DynamoDBStore:
    """A CommentStore on a table that exists."""

    overlap = float(LONGEST_WRITE + CLOCK_SKEW)
    targets: Collection[str] = ()

    def __init__(self, table: str, *, region: str | None = None) -> None:
        self._table = Table(table, region=region)
        self._counts: dict[int, tuple[int, float]] = {}
        """Counts of threads, and when they were read."""

    def add(self, new: NewComment, *, key: str = "", held: bool = False, by: Author = ANYONE) -> Comment:
        comment = new.stored(id_at(now()), held=held, by=by)
        changes = [_put(_item(comment)), *self._notifications(CREATED, comment)]
        if key:  # in one transaction, whose condition lets only one of several attempts succeed
            changes.insert(0, _put_key(new, key, by, comment))
        if len(changes) == 1:
            self._table.put(_item(comment))  # costs half of a transaction
        elif (seen := self._table.transact(*changes)) is not None:
            return _replayed(new, by, seen)
        if not held:
            self._add_to_count(new.content_id, 1)
        return comment

    def find_replay(self, new: NewComment, key: str, *, by: Author = ANYONE) -> Comment | None:
        seen = self._table.get(_hashed_key(new.content_id, key))
        # DynamoDB deletes expired items up to days late, so compare the time as well.
        return _replayed(new, by, seen) if seen and int(seen[TTL_ATTRIBUTE]["N"]) > time.time() else None

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
        keys = [_comment_key(each.get("content_id", 0), each["id"], held="held" in each) for each in found.comments]
        comments = sorted(map(_comment, self._table.read(keys)), key=itemgetter("id"), reverse=True)
        return _up_to_a_megabyte(Page(comments, more=found.more and bool(comments)))

    def count(self, content_ids: Collection[int]) -> dict[int, int]:
        oldest = time.monotonic() - COUNT_SECONDS
        known = {each: self._counts[each] for each in content_ids if self._counts.get(each, (0, 0.0))[1] > oldest}
        if unknown := [each for each in dict.fromkeys(content_ids) if each not in known]:
            items = self._table.read([_key(f"count#{each}") for each in unknown], consistent=False)
            counts = {_content_id(item): int(item["published"]["N"]) for item in items}
            known |= {each: (max(counts.get(each, 0), 0), time.monotonic()) for each in unknown}
            self._counts = (self._counts if len(self._counts) < MAX_COUNTS else {}) | known
        return {each: known[each][0] for each in content_ids}

    def approve(self, content_id: int, comment_id: str) -> Comment | None:
        while held := self._find(content_id, comment_id, held=True):
            published: Comment = held | {"id": id_at(now())}
            del published["held"]
            approval = _hashed_key("approve", content_id, comment_id) | {"id": {"S": published["id"]}}
            author = held.get("author")
            trust = [_hashed_key("trust", author)] if author else []
            puts = map(_put, (_item(published), approval, *trust))
            if self._table.transact(_delete_unchanged(held), *puts) is None:
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
                "Key": _comment_key(content_id, comment_id, held=held),
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
        undelivered = [
            (name, replace(each, comment_id=comment["id"]))  # the other thread knows no ids from before an approval
            for name in TARGET_SETTINGS
            for each in self.list_outbox(name, limit=MAX_OUTBOX)
            if each.content_id == content_id and (comment := self.find(content_id, each.comment_id))
        ]
        published = [comment for comment in comments if not comment.get("held")]
        # The target may have the same comments, as after an import of both pages.
        new = sum(not self._find(target, comment["id"], held=False) for comment in published)
        for comment in comments:
            notifications = [
                # One that was delivered in the meantime is stored, and delivered, again.
                _put(_outbox_item(name, replace(each, content_id=target)))
                for name, each in undelivered
                if each.comment_id == comment["id"]
            ]
            self._move(comment, target, page, notifications)
        self._add_to_count(content_id, -len(published))
        self._add_to_count(target, new)
        return len(comments)

    def delete(self, content_id: int, comment_id: str, *, distrust: bool = False) -> bool:
        for held in (True, False):
            comment = self._find(content_id, comment_id, held=held)
            if not comment:
                continue
            if distrust and (author := comment.get("author")):
                self._table.delete(_hashed_key("trust", author))
            deleted = self._table.delete(_comment_key(content_id, comment_id, held=held))
            if deleted and not held:
                self._add_to_count(content_id, -1)
            # If the item is gone, it was either approved concurrently or deleted by an attempt whose response was lost.
            return deleted or not self._table.get(_hashed_key("approve", content_id, comment_id))
        return False

    def is_trusted(self, author: str) -> bool:
        return self._table.get(_hashed_key("trust", author)) is not None

    def scan(self) -> Iterator[Comment]:
        yield from scan_held(self)
        for items in self._scan("thread"):
            yield from map(_comment, items)

    def restore(self, comments: Sequence[Comment], *, dry_run: bool = False) -> int:
        stored = _in_parallel(partial(self._restore, dry_run=dry_run), comments)
        if not dry_run:
            new = [comment for comment, is_stored in zip(comments, stored, strict=True) if is_stored]
            for content_id, count in Counter(each["content_id"] for each in new if not each.get("held")).items():
                self._add_to_count(content_id, count)
        return sum(stored)

    def rebuild(self) -> int:
        counts = Counter({_content_id(item): 0 for items in self._scan("count") for item in items})
        for kind in ("held", "thread"):
            for items in self._scan(kind):
                _in_parallel(self._add_to_index, [item for item in items if RECENT not in item])
                if kind == "thread":
                    counts.update(map(_content_id, items))
        items = [_key(f"count#{each}") | {"published": {"N": str(count)}} for each, count in counts.items()]
        _in_parallel(self._table.put, items)
        return counts.total()

    def list_outbox(self, target: str, *, limit: int) -> list[Notification]:
        items = self._query_items(f"outbox#{target}", limit=limit)["Items"]
        return [
            Notification(item[SORT_KEY]["S"], item["event"]["S"], int(item["content_id"]["N"]), item["comment_id"]["S"])
            for item in items
        ]

    def remove_from_outbox(self, target: str, notification_id: str) -> None:
        self._table.delete(_key(f"outbox#{target}", notification_id))

    def replace_lease(self, old: str, new: str) -> str:
        key = _key("lease#outbox")
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
        self._table.get(_key("ping"))

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
                {":shard": {"S": _shard(item[SORT_KEY]["S"])}},
                ConditionExpression=EXISTS,
            )

    def _add_to_count(self, content_id: int, change: int) -> None:
        """Change the counter of a thread. The comments themselves matter more: after a failure, it is wrong."""
        try:
            change_by = {":change": {"N": str(change)}}
            self._table.update(_key(f"count#{content_id}"), "ADD published :change", change_by)
        except StoreError as error:
            log.warning("the count of content_id %s is wrong: %s", content_id, error.message)

    def _restore(self, comment: Comment, *, dry_run: bool) -> bool:
        """Store a comment unless its id exists, published or held, or existed until its approval."""
        content_id, comment_id, held = comment["content_id"], comment["id"], bool(comment.get("held"))
        approval = _hashed_key("approve", content_id, comment_id)
        if self._find(content_id, comment_id, held=not held) or self._table.get(approval):
            return False
        if dry_run:
            return self._table.get(_comment_key(content_id, comment_id, held=held)) is None
        try:
            self._table.put(_item(comment), ConditionExpression=IS_NEW)
        except ConditionFailed:
            return False
        return True

    def _move(self, comment: Comment, target: int, page: str, more: Sequence[dict[str, Any]]) -> None:
        """Move a comment, unless it is gone, together with more changes."""
        current: Comment | None = comment
        while current:
            put = _put(_item(compact(current | {"content_id": target, "page": page})))
            if current.get("held"):  # its key stays the same
                put["Put"] |= _unchanged(current)
                changes = [put]
            else:
                changes = [_delete_unchanged(current), put]
            if self._table.transact(*changes, *more) is None:
                return
            current = self._find(current["content_id"], current["id"], held="held" in current)

    def _notifications(self, event: str, comment: Comment) -> list[dict[str, Any]]:
        """Return the changes that put a comment into the outbox."""
        content_id, comment_id = comment["content_id"], comment["id"]
        return [
            _put(_outbox_item(name, Notification(id_at(now()), event, content_id, comment_id))) for name in self.targets
        ]

    def _find_approved(self, content_id: int, comment_id: str) -> Comment | None:
        """Return the published comment that had this id while it was pending."""
        approved = self._table.get(_hashed_key("approve", content_id, comment_id))
        return self._find(content_id, approved["id"]["S"], held=False) if approved else None

    def _find(self, content_id: int, comment_id: str, *, held: bool) -> Comment | None:
        item = self._table.get(_comment_key(content_id, comment_id, held=held))
        comment = _comment(item) if item else None
        # The key of a held comment does not contain the thread.
        return comment if comment and comment["content_id"] == content_id else None

    def _query(self, partition: str, *, limit: int, index: bool = False, **order: Any) -> Page:
        """Read comments of a partition, or only their keys from one of the index."""
        response = self._query_items(partition, limit=limit + 1, index=index, **order)
        comments = [_comment(item) for item in response["Items"]]
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


def _in_parallel(call: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
    """Call a function in threads, from the main thread. Ctrl-C waits for them: otherwise, it may leave a lock of theirs
    locked, so that the command never ends."""
    interrupts: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            results = [*pool.map(call, arguments)]
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        signal.raise_signal(signal.SIGINT)
    return results


def _key(partition: str, sort: str = "-") -> Item:
    return {PARTITION_KEY: {"S": partition}, SORT_KEY: {"S": sort}}


def _comment_key(content_id: int, comment_id: str, *, held: bool) -> Item:
    return _key(f"held#{_shard(comment_id)}" if held else f"thread#{content_id}", comment_id)


def _content_id(item: Mapping[str, Any]) -> int:
    """Return the thread of a published comment or of a count."""
    return int(item[PARTITION_KEY]["S"].partition("#")[2])


def _hashed_key(*parts: object) -> Item:
    return _key(f"key#{hash_of(*parts)}")


def _shard(comment_id: str) -> str:
    return str(int(comment_id[-1], 16) % SHARDS)


def _outbox_item(target: str, notification: Notification) -> Item:
    return _key(f"outbox#{target}", notification.id) | {
        "event": {"S": notification.event},
        "content_id": {"N": str(notification.content_id)},
        "comment_id": {"S": notification.comment_id},
    }


def _put(item: Item) -> dict[str, Any]:
    """Return a change of a transaction."""
    return {"Put": {"Item": item}}


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


def _unchanged(comment: Comment) -> dict[str, Any]:
    """Return the condition that a comment still exists, and that its author has not edited it."""
    return {
        "ConditionExpression": "#text = :text",
        "ExpressionAttributeNames": {"#text": "comment"},
        "ExpressionAttributeValues": {":text": {"S": comment["comment"]}},
    }


def _delete_unchanged(comment: Comment) -> dict[str, Any]:
    """Return a change of a transaction."""
    key = _comment_key(comment["content_id"], comment["id"], held="held" in comment)
    return {"Delete": {"Key": key} | _unchanged(comment)}


def _put_key(new: NewComment, key: str, by: Author, comment: Comment) -> dict[str, Any]:
    """Return the change that stores an idempotency key, unless it is in use."""
    seconds = int(time.time())
    values = {
        "fingerprint": {"S": fingerprint(new, by)},
        "id": {"S": comment["id"]},
        "held": {"BOOL": "held" in comment},
        TTL_ATTRIBUTE: {"N": str(seconds + KEY_SECONDS)},
    }
    return {
        "Put": {
            "Item": _hashed_key(new.content_id, key) | values,
            "ConditionExpression": f"{IS_NEW} OR {TTL_ATTRIBUTE} <= :now",
            "ExpressionAttributeValues": {":now": {"N": str(seconds)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def _replayed(new: NewComment, by: Author, seen: Item) -> Comment:
    """Return the comment that the item of an idempotency key remembers. Raises KeyReused if it was another one."""
    if seen["fingerprint"]["S"] != fingerprint(new, by):
        raise KeyReused
    return new.stored(seen["id"]["S"], held=seen["held"]["BOOL"], by=by)


def _item(comment: Comment) -> Item:
    """Return the item of a comment: its key, and an attribute for each other value."""
    held = bool(comment.get("held"))
    key = _comment_key(comment["content_id"], comment["id"], held=held)
    values: dict[str, Any] = {"email": "", **comment}  # release 0.2 needs an address
    for name in ("id", "held", *(() if held else ("content_id",))):
        values.pop(name, None)
    # Numbers in an import may be floats, which boto3 does not take.
    attributes: Item = {name: SERIALIZER.serialize(_without_floats(value)) for name, value in values.items()}  # type: ignore[misc]  # its type is a union
    return key | attributes | {RECENT: {"S": _shard(comment["id"])}}


def _comment(item: Mapping[str, Any]) -> Comment:
    comment: Any = {"id": item[SORT_KEY]["S"]}
    if item[PARTITION_KEY]["S"].startswith("thread#"):
        comment["content_id"] = _content_id(item)
    else:
        comment["held"] = True
    for name, value in item.items():
        if name not in {PARTITION_KEY, SORT_KEY, RECENT} and value != {"S": ""}:
            comment[name] = value["S"] if "S" in value else _without_decimals(DESERIALIZER.deserialize(value))
    return comment  # type: ignore[no-any-return]  # the keys of a Comment


def _without_floats(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=Decimal) if isinstance(value, float | dict | list) else value


def _without_decimals(value: Any) -> Any:
    """Return a value of DynamoDB as one of JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, dict):
        return {name: _without_decimals(each) for name, each in value.items()}
    return [_without_decimals(each) for each in value] if isinstance(value, list) else value
