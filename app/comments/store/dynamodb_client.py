"""The DynamoDB client of a table: made late, its failures as StoreError, conflicts between transactions tried again."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from comments.errors import StoreError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

CONFIG = Config(
    connect_timeout=1,  # seconds; the endpoint is in the same region
    read_timeout=3,  # seconds; DynamoDB answers in milliseconds or not at all
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,  # twice the worker's threads: none waits for a connection
    tcp_keepalive=True,
)

PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
"""Reasons of a cancelled transaction that the next attempt may not meet; boto3 leaves their retry to its callers."""

ATTEMPTS = 8
"""With full jitter up to 0.02, 0.04 … 1.28 s between them: at most 2.5 s, in the mean 1.3 s."""

Result = TypeVar("Result")


class TableClient:
    """One table, and the client to reach it."""

    def __init__(self, table: str, client: "DynamoDBClient | None" = None) -> None:
        self.name = table
        self._made = client
        self._making = threading.Lock()

    @property
    def client(self) -> "DynamoDBClient":
        """The client, made with the first request: a start takes 0.05 s less, and /healthz needs no region."""
        if self._made is None:
            with self._making:
                if self._made is None:
                    self._made = boto3.client("dynamodb", config=CONFIG)
        return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    @contextmanager
    def reading(self) -> Iterator["DynamoDBClient"]:
        try:
            yield self.client
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"reading the table {self.name}: {error}") from error

    @contextmanager
    def writing(self) -> Iterator["DynamoDBClient"]:
        try:
            yield self.client
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"writing to the table {self.name}: {error}") from error

    def change(self, call: Callable[["DynamoDBClient"], Result]) -> Result:
        """Make a call that may conflict with a transaction, as often as it takes; raises StoreError at the end.

        Raises ConditionFailed as soon as a condition of a transaction fails.
        """
        with self.writing() as client:
            for attempt in itertools.count(1):
                try:
                    return call(client)
                except ClientError as error:
                    _raise_what_stays(error)
                    if attempt == ATTEMPTS:
                        raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311  # jitter, no secret
        raise AssertionError("the loop above has no other end")


class ConditionFailed(Exception):
    """A transaction was cancelled by a condition; items are what is stored, by the position of the change."""

    def __init__(self, items: dict[int, dict[str, Any]]) -> None:
        super().__init__()
        self.items = items


def _raise_what_stays(error: ClientError) -> None:
    """Return if another attempt may succeed."""
    reasons: Any = error.response.get("CancellationReasons", [])
    failed = {
        position: reason.get("Item", {})
        for position, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if failed:
        raise ConditionFailed(failed) from None
    code = error.response.get("Error", {}).get("Code")
    codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
    if code != "TransactionConflictException" and not (codes and codes <= PASSING):
        raise error
