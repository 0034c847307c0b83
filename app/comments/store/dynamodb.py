"""The store for production: one DynamoDB table, shared by every task."""

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from comments.errors import StoreError
from comments.ids import Clock, created_at, id_at
from comments.models import Comment, NewComment
from comments.store import Page

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import QueryInputTypeDef

PARTITION_KEY = "pk"
SORT_KEY = "sk"
TTL_ATTRIBUTE = "expires_at"
KEY_SCHEMA = ((PARTITION_KEY, "HASH"), (SORT_KEY, "RANGE"))
"""A table's keys can never be changed, so both are plain strings: thread#CONTENT_ID and the comment's id."""

CONFIG = Config(
    connect_timeout=1,  # seconds; the endpoint is in the same region
    read_timeout=3,  # seconds; DynamoDB answers in milliseconds or not at all
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,  # twice the worker's threads: none waits for a connection
    tcp_keepalive=True,
)


class DynamoDBStore:
    """A CommentStore. Region, credentials and endpoint are found by boto3: in a task, from its role."""

    def __init__(self, *, table: str, client: "DynamoDBClient | None" = None) -> None:
        self._table = table
        self._made = client
        self._making = threading.Lock()
        self._clock = Clock()

    @property
    def _client(self) -> "DynamoDBClient":
        """The client, made with the first request: a start takes 0.05 s less, and /healthz needs no region."""
        if self._made is None:
            with self._making:
                if self._made is None:
                    self._made = boto3.client("dynamodb", config=CONFIG)
        return self._made

    def add(self, new: NewComment) -> Comment:
        tick = self._clock.tick()
        comment: Comment = {
            "id": id_at(tick),
            "content_id": new.content_id,
            "email": new.email,
            "comment": new.comment,
            "created_at": created_at(tick),
        }
        item = {
            PARTITION_KEY: {"S": _partition(new.content_id)},
            SORT_KEY: {"S": comment["id"]},
            **{name: {"S": comment[name]} for name in ("email", "comment", "created_at")},
        }
        try:
            # A retry inside the client writes the same item under the same id, so it cannot double the comment.
            self._client.put_item(TableName=self._table, Item=item)
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"writing to the table {self._table}: {error}") from error
        return comment

    def list_page(self, content_id: int, *, after: str | None, limit: int) -> Page:
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": f"{PARTITION_KEY} = :thread" + (f" AND {SORT_KEY} > :after" if after else ""),
            "ExpressionAttributeValues": {":thread": {"S": _partition(content_id)}},
            "ConsistentRead": True,
            "Limit": limit + 1,
        }
        if after:
            query["ExpressionAttributeValues"] = {**query["ExpressionAttributeValues"], ":after": {"S": after}}
        try:
            answer = self._client.query(**query)
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"reading the table {self._table}: {error}") from error
        comments = [_comment(content_id, item) for item in answer["Items"]]
        return Page(comments[:limit], more=len(comments) > limit or "LastEvaluatedKey" in answer)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


def _partition(content_id: int) -> str:
    return f"thread#{content_id}"


def _comment(content_id: int, item: dict[str, Any]) -> Comment:
    return {
        "id": item[SORT_KEY]["S"],
        "content_id": content_id,
        "email": item["email"]["S"],
        "comment": item["comment"]["S"],
        "created_at": item["created_at"]["S"],
    }


def create_table(table: str, client: "DynamoDBClient | None" = None) -> None:
    """Make the table where no CDK app does: on the local engine, for compose and for tests. Done already is done."""
    client = client or boto3.client("dynamodb", config=CONFIG)
    try:
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEY_SCHEMA],  # type: ignore[typeddict-item]  # literals in a tuple
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in KEY_SCHEMA],
            BillingMode="PAY_PER_REQUEST",
        )
    except client.exceptions.ResourceInUseException:
        return


def main() -> None:
    """Make the table that COMMENTS_STORE names; an engine started together with this takes seconds to listen."""
    table = os.environ["COMMENTS_STORE"].removeprefix("dynamodb://")
    for _ in range(30):
        try:
            return create_table(table)
        except EndpointConnectionError:
            time.sleep(1)
    sys.exit("error: no DynamoDB engine answers at AWS_ENDPOINT_URL_DYNAMODB")


if __name__ == "__main__":
    main()
