"""The store for production: one DynamoDB table, shared by every task."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from comments.errors import StoreError
from comments.ids import Clock, created_at, id_at
from comments.models import Comment, NewComment
from comments.store import Page, Scanned, dynamodb_bulk, dynamodb_changes
from comments.store.dynamodb_client import TableClient
from comments.store.dynamodb_errors import NoAnswer, Refused
from comments.store.dynamodb_items import (
    KEY_SCHEMA,
    PARTITION_KEY,
    SHARDS,
    SORT_KEY,
    comment_item,
    comment_of,
    held_shard,
    thread,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import QueryInputTypeDef


class DynamoDBStore:
    """A CommentStore. Region, credentials and endpoint are found where boto3 finds them: in a task, from its role."""

    def __init__(self, table: TableClient) -> None:
        self._table = table
        self._clock = Clock()

    def add(self, new: NewComment, *, idempotency_key: str | None = None, held: bool = False) -> Comment:
        tick = self._clock.tick()
        comment = new.stored(id_at(tick), created_at(tick), held=held)
        if idempotency_key is not None:
            return dynamodb_changes.add_once(self._table, new, comment, key=idempotency_key)
        # A retry inside the client writes the same item under the same id, so it cannot double the comment.
        self._table.call("PutItem", {"TableName": self._table.name, "Item": comment_item(comment)})
        return comment

    def list_page(self, content_id: int, *, after: str | None, limit: int) -> Page:
        return self._query(thread(content_id), after=after, limit=limit)

    def held_page(self, *, after: str | None, limit: int) -> Page:
        """Merge the shards; behind the end of one that was cut short, the order is not known yet."""
        pages = [self._query(held_shard(shard), after=after, limit=limit) for shard in range(SHARDS)]
        ends = [page.comments[-1]["id"] for page in pages if page.more]
        comments = sorted((comment for page in pages for comment in page.comments), key=lambda comment: comment["id"])
        known = [comment for comment in comments if not ends or comment["id"] <= min(ends)]
        return Page(known[:limit], more=bool(ends) or len(known) > limit)

    def approve(self, content_id: int, comment_id: str) -> bool:
        return dynamodb_changes.approve(self._table, content_id, comment_id)

    def delete(self, content_id: int, comment_id: str) -> bool:
        return dynamodb_changes.delete(self._table, content_id, comment_id)

    def scan(self, *, after: str | None, limit: int) -> Scanned:
        """Held ones by id, behind the token `held ID`, then the table, behind `listed PK SK`."""
        phase, *last = (after or "held ").split(" ")
        if phase == "held":
            page = self.held_page(after=last[0] or None, limit=limit)
            return Scanned(page.comments, f"held {page.comments[-1]['id']}" if page.more else "listed")
        return dynamodb_bulk.scan_listed(self._table, behind=last, limit=limit)

    def restore(self, comments: Sequence[Comment]) -> int:
        return dynamodb_bulk.restore(self._table, comments)

    def ping(self) -> None:
        key = {PARTITION_KEY: {"S": "ping"}, SORT_KEY: {"S": "-"}}
        self._table.call("GetItem", {"TableName": self._table.name, "Key": key})

    def close(self) -> None:
        self._table.close()

    def _query(self, partition: str, *, after: str | None, limit: int) -> Page:
        query: QueryInputTypeDef = {
            "TableName": self._table.name,
            "KeyConditionExpression": f"{PARTITION_KEY} = :partition" + (f" AND {SORT_KEY} > :after" if after else ""),
            "ExpressionAttributeValues": {":partition": {"S": partition}} | ({":after": {"S": after}} if after else {}),
            "ConsistentRead": True,
            "Limit": limit + 1,
        }
        answer = self._table.call("Query", query)
        comments = [comment_of(item) for item in answer["Items"]]
        return Page(comments[:limit], more=len(comments) > limit or "LastEvaluatedKey" in answer)


def create_table(name: str) -> None:
    """Make the table where no CDK app does: on the local engine, for compose and for tests. Done already is done."""
    wanted = {
        "TableName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in KEY_SCHEMA],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key, _ in KEY_SCHEMA],
        "BillingMode": "PAY_PER_REQUEST",
    }
    with closing(TableClient(name)) as table:
        try:
            table.call("CreateTable", wanted)
        except StoreError as error:
            if not isinstance(error.__cause__, Refused) or error.__cause__.kind != "ResourceInUseException":
                raise


def main() -> None:
    """Make the table that COMMENTS_STORE names; an engine started together with this takes seconds to listen."""
    table = os.environ["COMMENTS_STORE"].removeprefix("dynamodb://")
    for _ in range(20):
        try:
            return create_table(table)
        except StoreError as error:
            if not isinstance(error.__cause__, NoAnswer):
                sys.exit(f"error: {error.message}")
            time.sleep(1)
    sys.exit("error: no DynamoDB engine answers at AWS_ENDPOINT_URL_DYNAMODB")


if __name__ == "__main__":
    main()
