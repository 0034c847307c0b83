"""All comments of the DynamoDB table, in and out: for the command line, whose user may do more than a task."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comments.errors import StoreError
from comments.models import Comment
from comments.store import Scanned
from comments.store.dynamodb_client import ATTEMPTS, TableClient
from comments.store.dynamodb_items import PARTITION_KEY, SORT_KEY, THREAD, comment_item, comment_key, comment_of

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import ScanInputTypeDef

LOOKED_UP = 50
"""Comments looked up at once, each as listed and as held: DynamoDB takes 100 keys."""

WRITTEN = 25
"""Items in one BatchWriteItem: DynamoDB's limit."""


def scan_listed(table: TableClient, *, behind: Sequence[str], limit: int) -> Scanned:
    """Return the next listed comments behind a partition and sort key, or from the start; `limit` is of items."""
    query: ScanInputTypeDef = {
        "TableName": table.name,
        "FilterExpression": f"begins_with({PARTITION_KEY}, :thread)",
        "ExpressionAttributeValues": {":thread": {"S": THREAD}},
        "ConsistentRead": True,
        "Limit": limit,
    }
    if behind:
        query["ExclusiveStartKey"] = {PARTITION_KEY: {"S": behind[0]}, SORT_KEY: {"S": behind[1]}}
    answer = table.call("Scan", query)
    last: dict[str, Any] = answer.get("LastEvaluatedKey", {})
    comments = [comment_of(item) for item in answer["Items"]]
    return Scanned(comments, f"listed {last[PARTITION_KEY]['S']} {last[SORT_KEY]['S']}" if last else None)


def restore(table: TableClient, comments: Sequence[Comment]) -> int:
    new = 0
    for start in range(0, len(comments), LOOKED_UP):
        some = {comment["id"]: comment for comment in reversed(comments[start : start + LOOKED_UP])}
        present = _present(table, list(some.values()))
        missing = [comment for comment in some.values() if comment["id"] not in present]
        for first in range(0, len(missing), WRITTEN):
            _write(table, missing[first : first + WRITTEN])
        new += len(missing)
    return new


def _present(table: TableClient, comments: Sequence[Comment]) -> set[str]:
    """Return the ids that are there, listed or held."""
    asked: Any = [
        comment_key(comment["content_id"], comment["id"], held=held) for comment in comments for held in (False, True)
    ]
    present: set[str] = set()
    for attempt in range(ATTEMPTS):
        time.sleep(0.05 * attempt)
        keys = {"Keys": asked, "ConsistentRead": True, "ProjectionExpression": SORT_KEY}
        answer = table.call("BatchGetItem", {"RequestItems": {table.name: keys}})
        present.update(item[SORT_KEY]["S"] for item in answer["Responses"].get(table.name, []))
        left: Any = answer["UnprocessedKeys"]
        asked = left.get(table.name, {}).get("Keys")
        if not asked:
            return present
    raise StoreError(f"reading the table {table.name}: it is throttled; go on more slowly")


def _write(table: TableClient, comments: Sequence[Comment]) -> None:
    requests: Any = {table.name: [{"PutRequest": {"Item": comment_item(comment)}} for comment in comments]}
    for attempt in range(ATTEMPTS):
        time.sleep(0.05 * attempt)
        requests = table.call("BatchWriteItem", {"RequestItems": requests})["UnprocessedItems"]
        if not requests:
            return
    raise StoreError(f"writing to the table {table.name}: it is throttled; go on more slowly")
