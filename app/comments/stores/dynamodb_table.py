"""Calls of one DynamoDB table: bounded in number and time, retried after conflicts, with errors as StoreError."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from comments.errors import StoreError, Throttled

Argument = TypeVar("Argument")
Result = TypeVar("Result")

Item = dict[str, dict[str, Any]]
"""The value of each attribute, with its type: {"pk": {"S": "thread#1"}}."""

CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 1, 2, 3
"""Seconds and attempts of one call. DynamoDB responds in milliseconds, so a slow attempt is better retried."""

LONGEST_CALL = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + (1 + 5) + (2 + 5)
"""Seconds of the slowest call. Between attempts, boto3's standard retry mode waits up to 1 s, then up to 2 s, and up to
5 s more if DynamoDB asks for it (`x-amz-retry-after`). Without name lookups and refreshed credentials, which take
milliseconds on Fargate."""

CONNECTIONS = 100
"""Calls at a time, and connections to DynamoDB. Other calls wait: a task with a quarter of a vCPU handles fewer."""

BUSY_SECONDS = 2
"""How long a call waits for a connection. Longer waits would delay writes whose ids already exist."""

CONFLICT_SECONDS = 1
"""How long to retry a write that conflicts with a transaction, such as a concurrent retry with the same key."""

PATIENCE = 60
"""Seconds for which a command retries a call that is throttled: an import exceeds the table's ceiling all the time."""

LONGEST_WRITE = BUSY_SECONDS + CONFLICT_SECONDS + LONGEST_CALL
"""Seconds."""

CONFLICTS = {"TransactionConflictException", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
"""Error codes and cancellation reasons that boto3 does not retry."""

THROTTLED = {
    *("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"),
    *("ThrottlingError", "ProvisionedThroughputExceeded"),
}
"""Error codes, and cancellation reasons, of requests beyond the table's ceiling or a partition's limit."""

THREADS = 8
"""Parallel writes of commands: few enough for one partition (a thread), which supports 1,000 writes per second."""

BATCH = 100
"""AWS: keys of a BatchGetItem."""


class ConditionFailed(StoreError):
    """The item has changed in the meantime."""


class Table:
    """A table that exists. Region, credentials and endpoint come from boto3's usual sources."""

    def __init__(self, name: str, *, region: str | None, patient: bool = False) -> None:
        """A patient one waits while the table is throttled, with pauses in which others have their turn."""
        self._name, self._patient = name, patient
        self._connections = threading.BoundedSemaphore(CONNECTIONS)
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
        )
        try:
            self.client = boto3.client("dynamodb", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:  # ValueError: the endpoint is not a URL
            raise StoreError(f"COMMENTS_STORE: cannot connect to DynamoDB: {error}") from error

    def get(self, key: Item) -> Any:
        """Return the item, or None."""
        return self._call(self.client.get_item, Key=key, ConsistentRead=True).get("Item")

    def put(self, item: Item, **condition: Any) -> None:
        self._call(self.client.put_item, Item=item, **condition)

    def update(self, key: Item, expression: str, values: Item, **condition: Any) -> None:
        self._call(
            self.client.update_item,
            Key=key,
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            **condition,
        )

    def delete(self, key: Item) -> bool:
        """Return whether there was such an item."""
        return "Attributes" in self._call(self.client.delete_item, Key=key, ReturnValues="ALL_OLD")

    def read(self, keys: Sequence[Item], *, consistent: bool = True) -> list[Item]:
        """Read items in any order. Those that don't exist are left out."""
        items: list[Item] = []
        while keys:
            request = {"Keys": keys[:BATCH], "ConsistentRead": consistent}
            response = self._retry(self.client.batch_get_item, RequestItems={self._name: request})
            items += response["Responses"][self._name]
            keys = [*keys[BATCH:], *response["UnprocessedKeys"].get(self._name, {}).get("Keys", [])]
        return items

    def query(self, condition: str, values: Item, **parameters: Any) -> Any:
        return self._call(
            self.client.query, KeyConditionExpression=condition, ExpressionAttributeValues=values, **parameters
        )

    def scan(self, condition: str, values: Item) -> Iterator[list[Item]]:
        """Yield all items that match, page by page."""
        start: dict[str, Any] | None = {}
        while start is not None:
            response = self._call(
                self.client.scan,
                FilterExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                **start,
            )
            yield response["Items"]
            last = response.get("LastEvaluatedKey")
            start = {"ExclusiveStartKey": last} if last else None

    def transact(self, *changes: dict[str, Any]) -> Any:
        """Apply all changes, each of which is {"Put": …}, {"Update": …} or {"Delete": …}, or none of them.

        Returns None, or the stored item of the first change if its condition failed.
        """
        items = [{kind: {"TableName": self._name, **change}} for each in changes for kind, change in each.items()]
        try:
            # boto3 adds a ClientRequestToken, so its own retries apply the changes once.
            self._retry(self.client.transact_write_items, TransactItems=items)
        except StoreError as error:
            cause = error.__cause__
            reasons = cause.response.get("CancellationReasons") if isinstance(cause, ClientError) else None
            if reasons and reasons[0]["Code"] == "ConditionalCheckFailed":
                return reasons[0].get("Item", {})
            raise
        return None

    def close(self) -> None:
        self.client.close()

    def _call(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        return self._retry(operation, TableName=self._name, **parameters)

    def _retry(self, operation: Callable[..., Any], **parameters: Any) -> Any:
        with self._connection():
            retried, seconds, pause = (
                (CONFLICTS | THROTTLED, PATIENCE, 1.0) if self._patient else (CONFLICTS, CONFLICT_SECONDS, 0.1)
            )
            end = time.monotonic() + seconds
            while True:
                try:
                    return operation(**parameters)
                except ClientError as error:
                    reason = error.response["Error"]["Code"]
                    codes = {reason, *(each["Code"] for each in error.response.get("CancellationReasons", []))}
                    if time.monotonic() > end or codes.isdisjoint(retried) or "ConditionalCheckFailed" in codes:
                        kind = Throttled if codes & THROTTLED else StoreError
                        kind = ConditionFailed if reason == "ConditionalCheckFailedException" else kind
                        raise kind(f"table {self._name}: {error}", reason=reason) from error
                except BotoCoreError as error:
                    raise StoreError(f"table {self._name}: {error}", reason=type(error).__name__) from error
                time.sleep(random.uniform(0, pause))  # noqa: S311  # jitter is not a secret

    @contextmanager
    def _connection(self) -> Iterator[None]:
        """Wait for a connection of the pool. boto3 would open more, and log a warning for each."""
        if not self._connections.acquire(timeout=BUSY_SECONDS):
            raise StoreError(f"table {self._name}: all {CONNECTIONS} connections are busy", reason="Busy")
        try:
            yield
        finally:
            self._connections.release()


def in_parallel(call: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
    """Call a function in threads, from the main thread. Ctrl-C waits for calls that have begun: otherwise, it may leave
    a lock of theirs locked, so that the command never ends."""
    interrupts: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))

    def call_unless_interrupted(argument: Argument) -> Result:
        if interrupts:
            raise KeyboardInterrupt
        return call(argument)

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            results = [*pool.map(call_unless_interrupted, arguments)]
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        signal.raise_signal(signal.SIGINT)
    return results
