"""How comments lie in the DynamoDB table: the keys of each kind of item, and an item as a comment.

thread#CONTENT_ID / ID   a listed comment
held#SHARD / ID          a comment that waits for approval
key#SHA256 / -           an idempotency key, until expires_at
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from comments.models import Comment

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

PARTITION_KEY = "pk"
SORT_KEY = "sk"
TTL_ATTRIBUTE = "expires_at"
KEY_SCHEMA = ((PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE"))
"""A table's keys can never be changed, so both are plain strings."""

SHARDS = 4
"""Partitions of what is held, for a thousand writes a second each; a page of it costs as many queries."""

THREAD = "thread#"


def thread(content_id: int) -> str:
    return f"{THREAD}{content_id}"


def held_shard(shard: int) -> str:
    return f"held#{shard}"


def comment_key(content_id: int, comment_id: str, *, held: bool) -> "Item":
    partition = held_shard(int(comment_id[-1], 16) % SHARDS) if held else thread(content_id)
    return {PARTITION_KEY: {"S": partition}, SORT_KEY: {"S": comment_id}}


def comment_item(comment: Comment) -> "Item":
    held = bool(comment.get("held"))
    item = comment_key(comment["content_id"], comment["id"], held=held)
    if held:
        item["content_id"] = {"N": str(comment["content_id"])}
    return item | {
        "email": {"S": comment["email"]},
        "comment": {"S": comment["comment"]},
        "created_at": {"S": comment["created_at"]},
    }


def comment_of(item: Mapping[str, Any]) -> Comment:
    partition: str = item[PARTITION_KEY]["S"]
    listed = partition.startswith(THREAD)
    comment: Comment = {
        "id": item[SORT_KEY]["S"],
        "content_id": int(partition.removeprefix(THREAD) if listed else item["content_id"]["N"]),
        "email": item["email"]["S"],
        "comment": item["comment"]["S"],
        "created_at": item["created_at"]["S"],
    }
    return comment if listed else comment | {"held": True}


def idempotency_key(hashed: str) -> "Item":
    return {PARTITION_KEY: {"S": f"key#{hashed}"}, SORT_KEY: {"S": "-"}}
