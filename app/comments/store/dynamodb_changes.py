"""The changes of the DynamoDB table that are more than one put."""

import time
from typing import TYPE_CHECKING

from comments.errors import KeyReused
from comments.ids import created_at, tick_of
from comments.models import Comment, NewComment
from comments.store import KEY_SECONDS, fingerprint
from comments.store.dynamodb_client import TableClient
from comments.store.dynamodb_errors import ConditionFailed
from comments.store.dynamodb_items import (
    PARTITION_KEY,
    TTL_ATTRIBUTE,
    comment_item,
    comment_key,
    comment_of,
    idempotency_key,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

EXISTS = f"attribute_exists({PARTITION_KEY})"
UNUSED = f"attribute_not_exists({PARTITION_KEY}) OR {TTL_ATTRIBUTE} <= :now"
"""DynamoDB deletes what has expired days late, so the condition looks at the time itself."""


def add_once(table: TableClient, new: NewComment, comment: Comment, *, key: str) -> Comment:
    """Write key and comment in one transaction, of which the condition lets one through; return what is stored.

    Sent again after a lost answer, it fails by the condition and finds itself: no ClientRequestToken is needed.
    """
    now = int(time.time())
    print_ = fingerprint.of_comment(new)
    remembered = idempotency_key(fingerprint.of_key(key)) | {
        "fingerprint": {"S": print_},
        "id": {"S": comment["id"]},
        "held": {"BOOL": bool(comment.get("held"))},
        TTL_ATTRIBUTE: {"N": str(now + KEY_SECONDS)},
    }
    changes: list[TransactWriteItemTypeDef] = [
        {
            "Put": {
                "TableName": table.name,
                "Item": remembered,
                "ConditionExpression": UNUSED,
                "ExpressionAttributeValues": {":now": {"N": str(now)}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
        {"Put": {"TableName": table.name, "Item": comment_item(comment)}},
    ]
    try:
        table.call("TransactWriteItems", {"TransactItems": changes})
    except ConditionFailed as failed:
        stored = failed.items[0]
        if stored["fingerprint"]["S"] != print_:
            raise KeyReused from None
        first = stored["id"]["S"]
        return new.stored(first, created_at(tick_of(first)), held=stored["held"]["BOOL"])
    return comment


def approve(table: TableClient, content_id: int, comment_id: str) -> bool:
    held = find(table, content_id, comment_id, held=True)
    if held:
        listed = held.copy()
        del listed["held"]
        key = comment_key(content_id, comment_id, held=True)
        move: list[TransactWriteItemTypeDef] = [
            {"Delete": {"TableName": table.name, "Key": key, "ConditionExpression": EXISTS}},
            {"Put": {"TableName": table.name, "Item": comment_item(listed)}},
        ]
        try:
            table.call("TransactWriteItems", {"TransactItems": move})
        except ConditionFailed:
            pass  # it has just been approved or deleted, by this call if the first answer was lost
        else:
            return True
    return find(table, content_id, comment_id, held=False) is not None


def delete(table: TableClient, content_id: int, comment_id: str) -> bool:
    """Delete the held one first: an approval at the same time fails then, or else its listed one is found."""
    was_held = _delete(table, content_id, comment_id, held=True)
    was_listed = _delete(table, content_id, comment_id, held=False)
    return was_held or was_listed


def _delete(table: TableClient, content_id: int, comment_id: str, *, held: bool) -> bool:
    if find(table, content_id, comment_id, held=held) is None:
        return False
    table.call("DeleteItem", {"TableName": table.name, "Key": comment_key(content_id, comment_id, held=held)})
    return True


def find(table: TableClient, content_id: int, comment_id: str, *, held: bool) -> Comment | None:
    key = comment_key(content_id, comment_id, held=held)
    item = table.call("GetItem", {"TableName": table.name, "Key": key, "ConsistentRead": True}).get("Item")
    comment = comment_of(item) if item else None
    # A held comment's key does not tell its thread.
    return comment if comment and comment["content_id"] == content_id else None
