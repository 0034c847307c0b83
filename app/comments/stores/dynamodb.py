"""The production store: one DynamoDB table, shared by all tasks.

    pk                    sk
    thread#CONTENT_ID     ID     a published comment
    held#SHARD            ID     a comment that awaits approval
    key#SHA256            -      an idempotency key or an approval, until expires_at

Release 0.1 uses the same keys and items; both releases can serve one table.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from comments.errors import KeyReused, StoreError
from comments.ids import Clock, created_at, id_at, tick_of
from comments.schemas import Comment, NewComment
from comments.stores import KEY_SECONDS, Page, Scan, approval_hash, fingerprint, key_hash, legacy_key_hash

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 1, 2, 3
"""Seconds and attempts of one call. DynamoDB responds in milliseconds; a slower connection is better replaced."""

LONGEST_CALL = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + (1 + 5) + (2 + 5)
"""Seconds of the slowest call. Between attempts, boto3's standard retry mode waits up to 1 s, then up to 2 s, and up to
5 s more if DynamoDB asks for it (`x-amz-retry-after`)."""

CLOCK_SKEW = 5
"""Seconds by which the clocks of tasks may differ. Fargate keeps them within milliseconds."""

CONFLICT_SECONDS = 1
"""How long a write is repeated that conflicts with a transaction, for example of a concurrent retry with its key."""

CONFLICTS = {"TransactionConflictException", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
"""Errors and reasons of cancelled transactions that boto3 does not retry."""

PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE = "pk", "sk", "expires_at"
KEY_SCHEMA = ((PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE"))

SHARDS = 4
"""Partitions of held comments. Each takes 1,000 writes per second; each page of them costs one query per shard."""

LOOKUPS, WRITES = 50, 25
"""Comments per batch: BatchGetItem takes 100 keys and each comment needs two; BatchWriteItem takes 25 items."""


class DynamoDBStore:
    """A CommentStore on a table that exists. Region, credentials and endpoint come from boto3's usual sources."""

    overlap = float(CONFLICT_SECONDS + LONGEST_CALL + CLOCK_SKEW)

    def __init__(self, table: str, *, region: str | None = None) -> None:
        self._table = table
        self._clock = Clock()
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=100,
        )
        try:
            self._client = boto3.client("dynamodb", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:  # ValueError: the endpoint is not a URL
            raise StoreError(f"COMMENTS_STORE: cannot connect to DynamoDB: {error}") from error

    def add(self, new: NewComment, *, key: str = "", held: bool = False) -> Comment:
        if key:
            return self._add_once(new, key, held=held)
        comment = self._new(new, held=held)
        self._call(self._client.put_item, TableName=self._table, Item=_item(comment))
        return comment

    def get(self, content_id: int, comment_id: str) -> Comment | None:
        return self._find(content_id, comment_id, held=False)

    def list_comments(self, content_id: int, *, after: str = "", limit: int, newest_first: bool = False) -> Page:
        return self._query(f"thread#{content_id}", after=after, limit=limit, newest_first=newest_first)

    def list_held(self, *, after: str = "", limit: int) -> Page:
        """Merge the shards. Where one was cut short, comments beyond its end are not returned yet."""
        pages = [self._query(f"held#{shard}", after=after, limit=limit) for shard in range(SHARDS)]
        ends = [page.comments[-1]["id"] for page in pages if page.more]
        comments = sorted((comment for page in pages for comment in page.comments), key=lambda comment: comment["id"])
        complete = [comment for comment in comments if not ends or comment["id"] <= min(ends)]
        return Page(complete[:limit], more=bool(ends) or len(complete) > limit)

    def approve(self, content_id: int, comment_id: str) -> Comment | None:
        remembered = _key_item(approval_hash(content_id, comment_id))
        held = self._find(content_id, comment_id, held=True)
        if held:
            published = held.copy()
            del published["held"]
            published["id"] = id_at(self._clock.tick())
            approval = remembered | {"id": {"S": published["id"]}, TTL_ATTRIBUTE: _expiry()}
            delete = {
                "Key": _key(content_id, comment_id, held=True),
                "ConditionExpression": f"attribute_exists({PARTITION_KEY})",
            }
            if (
                self._transact({"Delete": delete}, {"Put": {"Item": _item(published)}}, {"Put": {"Item": approval}})
                is None
            ):
                return published
        # It was approved before, or by another request just now.
        approved = self._get(remembered)
        return self._find(content_id, approved["id"]["S"], held=False) if approved else None

    def delete(self, content_id: int, comment_id: str) -> bool:
        found = [held for held in (True, False) if self._find(content_id, comment_id, held=held)]
        for held in found:
            self._call(self._client.delete_item, TableName=self._table, Key=_key(content_id, comment_id, held=held))
        # A concurrent approval may have been faster: the comment then exists under another id.
        return bool(found) and not self._get(_key_item(approval_hash(content_id, comment_id)))

    def scan(self, *, after: str | None, limit: int) -> Scan:
        """Held comments by id (token `held ID`), then the table (token `published PK SK`)."""
        phase, *last = (after or "held ").split(" ")
        if phase == "held":
            page = self.list_held(after=last[0], limit=limit)
            return Scan(page.comments, f"held {page.comments[-1]['id']}" if page.more else "published")
        start = {PARTITION_KEY: {"S": last[0]}, SORT_KEY: {"S": last[1]}} if last else None
        response = self._call(
            self._client.scan,
            TableName=self._table,
            FilterExpression=f"begins_with({PARTITION_KEY}, :thread)",
            ExpressionAttributeValues={":thread": {"S": "thread#"}},
            ConsistentRead=True,
            Limit=limit,
            **({"ExclusiveStartKey": start} if start else {}),
        )
        end: Any = response.get("LastEvaluatedKey")
        token = f"published {end[PARTITION_KEY]['S']} {end[SORT_KEY]['S']}" if end else None
        return Scan([_comment(item) for item in response["Items"]], token)

    def restore(self, comments: Sequence[Comment]) -> int:
        new = 0
        for start in range(0, len(comments), LOOKUPS):
            some = {(c["content_id"], c["id"]): c for c in reversed(comments[start : start + LOOKUPS])}
            keys = [_key(*which, held=held) for which in some for held in (False, True)]
            found = [_comment(item) for item in self._batch("get", keys)]
            present = {(comment["content_id"], comment["id"]) for comment in found}
            # The key of a held comment does not contain the thread.
            held_ids = {comment["id"] for comment in found if comment.get("held")}
            missing = [
                _item(comment)
                for which, comment in some.items()
                if which not in present and not (comment.get("held") and comment["id"] in held_ids)
            ]
            for first in range(0, len(missing), WRITES):
                self._batch("write", [{"PutRequest": {"Item": item}} for item in missing[first : first + WRITES]])
            new += len(missing)
        return new

    def ping(self) -> None:
        self._get({PARTITION_KEY: {"S": "ping"}, SORT_KEY: {"S": "-"}})

    def close(self) -> None:
        self._client.close()

    def create_table(self) -> None:
        """Create the table where no CDK app does, on DynamoDB Local. Does nothing if it exists."""
        try:
            self._call(
                self._client.create_table,
                TableName=self._table,
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEY_SCHEMA],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in KEY_SCHEMA],
                BillingMode="PAY_PER_REQUEST",
            )
        except StoreError as error:
            if error.reason != "ResourceInUseException":
                raise

    def _add_once(self, new: NewComment, key: str, *, held: bool) -> Comment:
        """Store comment and key in one transaction; the condition on the key lets one of several attempts through."""
        content, remembered = fingerprint(new), _key_item(key_hash(new.content_id, key))
        legacy = self._get(_key_item(legacy_key_hash(key)))
        if legacy and legacy["fingerprint"]["S"] == content and int(legacy[TTL_ATTRIBUTE]["N"]) > time.time():
            return _first(new, legacy)
        comment = self._new(new, held=held)
        put_key = {
            "Item": remembered
            | {
                "fingerprint": {"S": content},
                "id": {"S": comment["id"]},
                "held": {"BOOL": held},
                TTL_ATTRIBUTE: _expiry(),
            },
            # DynamoDB deletes expired items up to days late, so compare the time as well.
            "ConditionExpression": f"attribute_not_exists({PARTITION_KEY}) OR {TTL_ATTRIBUTE} <= :now",
            "ExpressionAttributeValues": {":now": {"N": str(int(time.time()))}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        stored = self._transact({"Put": put_key}, {"Put": {"Item": _item(comment)}})
        if stored is None:
            return comment
        if stored["fingerprint"]["S"] != content:
            raise KeyReused
        return _first(new, stored)

    def _new(self, new: NewComment, *, held: bool) -> Comment:
        tick = self._clock.tick()
        return new.stored(id_at(tick), created_at(tick), held=held)

    def _find(self, content_id: int, comment_id: str, *, held: bool) -> Comment | None:
        item = self._get(_key(content_id, comment_id, held=held))
        comment = _comment(item) if item else None
        # The key of a held comment does not contain the thread.
        return comment if comment and comment["content_id"] == content_id else None

    def _get(self, key: "Item") -> Any:
        return self._call(self._client.get_item, TableName=self._table, Key=key, ConsistentRead=True).get("Item")

    def _query(self, partition: str, *, after: str, limit: int, newest_first: bool = False) -> Page:
        behind = f" AND {SORT_KEY} {'<' if newest_first else '>'} :after" if after else ""
        response = self._call(
            self._client.query,
            TableName=self._table,
            KeyConditionExpression=f"{PARTITION_KEY} = :partition{behind}",
            ExpressionAttributeValues={":partition": {"S": partition}} | ({":after": {"S": after}} if after else {}),
            ConsistentRead=True,
            ScanIndexForward=not newest_first,
            Limit=limit + 1,
        )
        comments = [_comment(item) for item in response["Items"]]
        return Page(comments[:limit], more=len(comments) > limit or "LastEvaluatedKey" in response)

    def _transact(self, *changes: dict[str, Any]) -> Any:
        """Apply all changes, each of which is {"Put": …} or {"Delete": …}, or none of them.

        Returns None, or the stored item of the first change if its condition failed.
        """
        items = [{kind: {"TableName": self._table, **change}} for each in changes for kind, change in each.items()]
        try:
            # boto3 adds a ClientRequestToken, so its own retries apply the changes once.
            self._call(self._client.transact_write_items, TransactItems=items)
        except StoreError as error:
            reasons = _cancellation_reasons(error.__cause__)
            if reasons and reasons[0]["Code"] == "ConditionalCheckFailed":
                return reasons[0].get("Item", {})
            raise
        return None

    def _batch(self, kind: str, requests: Any) -> list[Any]:
        """Run a BatchGetItem or BatchWriteItem until DynamoDB has processed all of it; return the items it read."""
        call = self._client.batch_get_item if kind == "get" else self._client.batch_write_item
        items: list[Any] = []
        for attempt in range(10):
            wanted = {"Keys": requests, "ConsistentRead": True} if kind == "get" else requests
            response: Any = self._call(call, RequestItems={self._table: wanted})
            items += response.get("Responses", {}).get(self._table, [])
            left = response.get("UnprocessedKeys") or response.get("UnprocessedItems")
            if not left:
                return items
            requests = left[self._table]["Keys"] if kind == "get" else left[self._table]
            time.sleep(0.05 * 2**attempt)
        raise StoreError(f"table {self._table}: still throttled after 10 attempts; import more slowly")

    def _call(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        end = time.monotonic() + CONFLICT_SECONDS
        while True:
            try:
                return operation(**parameters)
            except ClientError as error:
                reason = error.response["Error"]["Code"]
                codes = {reason, *(each["Code"] for each in _cancellation_reasons(error))}
                if time.monotonic() > end or codes.isdisjoint(CONFLICTS) or "ConditionalCheckFailed" in codes:
                    raise StoreError(f"table {self._table}: {error}", reason=reason) from error
            except BotoCoreError as error:
                raise StoreError(f"table {self._table}: {error}", reason=type(error).__name__) from error
            time.sleep(random.uniform(0, 0.1))  # noqa: S311  # jitter


def _cancellation_reasons(error: BaseException | None) -> Any:
    return error.response.get("CancellationReasons", []) if isinstance(error, ClientError) else []


def _key(content_id: int, comment_id: str, *, held: bool) -> "Item":
    partition = f"held#{int(comment_id[-1], 16) % SHARDS}" if held else f"thread#{content_id}"
    return {PARTITION_KEY: {"S": partition}, SORT_KEY: {"S": comment_id}}


def _key_item(hashed: str) -> "Item":
    return {PARTITION_KEY: {"S": f"key#{hashed}"}, SORT_KEY: {"S": "-"}}


def _expiry() -> "AttributeValueTypeDef":
    return {"N": str(int(time.time()) + KEY_SECONDS)}


def _item(comment: Comment) -> "Item":
    held = bool(comment.get("held"))
    item = _key(comment["content_id"], comment["id"], held=held)
    if held:
        item["content_id"] = {"N": str(comment["content_id"])}
    return item | {
        "email": {"S": comment["email"]},
        "comment": {"S": comment["comment"]},
        "created_at": {"S": comment["created_at"]},
    }


def _comment(item: Mapping[str, Any]) -> Comment:
    partition: str = item[PARTITION_KEY]["S"]
    published = partition.startswith("thread#")
    comment: Comment = {
        "id": item[SORT_KEY]["S"],
        "content_id": int(partition.removeprefix("thread#") if published else item["content_id"]["N"]),
        "email": item["email"]["S"],
        "comment": item["comment"]["S"],
        "created_at": item["created_at"]["S"],
    }
    return comment if published else comment | {"held": True}


def _first(new: NewComment, key_item: Mapping[str, Any]) -> Comment:
    """Return the comment that was stored when the key was first used, as it was then."""
    comment_id = key_item["id"]["S"]
    return new.stored(comment_id, created_at(tick_of(comment_id)), held=key_item["held"]["BOOL"])
