"""The items of the DynamoDB table, and changes of them.

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
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from comments.comment import Author, Comment, NewComment
from comments.errors import KeyReused
from comments.stores.base import KEY_SECONDS, Notification, fingerprint, hash_of
from comments.stores.dynamodb_table import Item

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


def key_of(partition: str, sort: str = "-") -> Item:
    return {PARTITION_KEY: {"S": partition}, SORT_KEY: {"S": sort}}


def comment_key(content_id: int, comment_id: str, *, held: bool) -> Item:
    return key_of(f"held#{shard_of(comment_id)}" if held else f"thread#{content_id}", comment_id)


def content_id_of(item: Mapping[str, Any]) -> int:
    """Return the thread of a published comment or of a count."""
    return int(item[PARTITION_KEY]["S"].partition("#")[2])


def hashed_key(*parts: object) -> Item:
    return key_of(f"key#{hash_of(*parts)}")


def shard_of(comment_id: str) -> str:
    return str(int(comment_id[-1], 16) % SHARDS)


def outbox_item(target: str, notification: Notification) -> Item:
    return key_of(f"outbox#{target}", notification.id) | {
        "event": {"S": notification.event},
        "content_id": {"N": str(notification.content_id)},
        "comment_id": {"S": notification.comment_id},
    }


def notification_of(item: Mapping[str, Any]) -> Notification:
    return Notification(item[SORT_KEY]["S"], item["event"]["S"], int(item["content_id"]["N"]), item["comment_id"]["S"])


def put(item: Item) -> dict[str, Any]:
    """Return a change of a transaction."""
    return {"Put": {"Item": item}}


def unchanged(comment: Comment) -> dict[str, Any]:
    """Return the condition that a comment still exists, and that its author has not edited it."""
    return {
        "ConditionExpression": "#text = :text",
        "ExpressionAttributeNames": {"#text": "comment"},
        "ExpressionAttributeValues": {":text": {"S": comment["comment"]}},
    }


def delete_unchanged(comment: Comment) -> dict[str, Any]:
    """Return a change of a transaction."""
    key = comment_key(comment["content_id"], comment["id"], held="held" in comment)
    return {"Delete": {"Key": key} | unchanged(comment)}


def put_key(new: NewComment, key: str, by: Author, comment: Comment) -> dict[str, Any]:
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
            "Item": hashed_key(new.content_id, key) | values,
            "ConditionExpression": f"{IS_NEW} OR {TTL_ATTRIBUTE} <= :now",
            "ExpressionAttributeValues": {":now": {"N": str(seconds)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def replayed(new: NewComment, by: Author, seen: Item) -> Comment:
    """Return the comment that the item of an idempotency key remembers. Raises KeyReused if it was another one."""
    if seen["fingerprint"]["S"] != fingerprint(new, by):
        raise KeyReused
    return new.stored(seen["id"]["S"], held=seen["held"]["BOOL"], by=by)


def item_of(comment: Comment) -> Item:
    """Return the item of a comment: its key, and an attribute for each other value."""
    held = bool(comment.get("held"))
    key = comment_key(comment["content_id"], comment["id"], held=held)
    values: dict[str, Any] = {"email": "", **comment}  # release 0.2 needs an address
    for name in ("id", "held", *(() if held else ("content_id",))):
        values.pop(name, None)
    # Numbers in an import may be floats, which boto3 does not take.
    attributes: Item = {name: SERIALIZER.serialize(_without_floats(value)) for name, value in values.items()}  # type: ignore[misc]  # its type is a union
    return key | attributes | {RECENT: {"S": shard_of(comment["id"])}}


def comment_of(item: Mapping[str, Any]) -> Comment:
    comment: Any = {"id": item[SORT_KEY]["S"]}
    if item[PARTITION_KEY]["S"].startswith("thread#"):
        comment["content_id"] = content_id_of(item)
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
