"""The client of one DynamoDB table: tries again what may pass, for a bounded time, and says the rest as StoreError."""

import itertools
import random
import threading
import time
from collections.abc import Mapping
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError

from comments.errors import StoreError
from comments.store.dynamodb_errors import OUTDATED, ConditionFailed, DynamoDBError, NoAnswer, Refused
from comments.store.dynamodb_wire import Wire

ATTEMPTS = 8
"""With full jitter up to 0.02, 0.04 … 1.28 s between them: at most 2.5 s, in the mean 1.3 s."""

PATIENCE = 6.0
"""Seconds until a call fails, whatever happens: three times the wait for an answer."""

RETRIES, RETRIES_A_SECOND = 100, 10
"""As many at once and in the long run, in one process: an outage is not multiplied by its retries."""

RENEWED_AFTER = 5.0
"""Seconds before refused credentials are looked up again: those that were just found would be the same."""


class TableClient:
    """One table. The connection to it is made with the first request: /healthz needs neither region nor credentials.

    When nothing answers any more, one call at a time goes on trying and the others fail at once: the server's threads
    would otherwise all wait, and /healthz with them.
    """

    def __init__(self, table: str) -> None:
        self.name = table
        self._wire: Wire | None = None
        self._making = threading.Lock()
        self._budget = Budget()
        self._answered = 0.0
        self._silence: NoAnswer | None = None
        self._trying = threading.Lock()

    def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        """Return DynamoDB's answer; raises StoreError, or ConditionFailed where a condition cancels a transaction."""
        try:
            silence = self._silence
            if silence is None:
                return self._insist(operation, request)
            if not self._trying.acquire(blocking=False):
                raise NoAnswer(silence.kind, "nothing is answered; another call is trying")
            try:
                return self._insist(operation, request)
            finally:
                self._trying.release()
        except ConditionFailed:
            raise
        except DynamoDBError as error:
            raise StoreError(f"{operation} on the table {self.name}: {error}") from error

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def _insist(self, operation: str, request: Mapping[str, Any]) -> Any:
        body = orjson.dumps(request)
        began = time.monotonic()
        end = began + PATIENCE
        for attempt in itertools.count(1):
            try:
                return self._attempt(operation, body, end)
            except DynamoDBError as error:
                wait = random.uniform(0, 0.01 * 2**attempt)  # noqa: S311  # jitter, no secret
                again = error.passes and attempt < ATTEMPTS and time.monotonic() + wait < end
                if not again or not self._budget.take():
                    if isinstance(error, NoAnswer) and self._answered < began:
                        self._silence = error
                    raise
            time.sleep(wait)
        raise AssertionError("the loop above has no other end")

    def _attempt(self, operation: str, body: bytes, end: float) -> Any:
        wire = self._connected(end)
        try:
            answer = wire.exchange(operation, body, end=end)
        except Refused as error:
            self._hear()
            if error.kind in OUTDATED and time.monotonic() - wire.made > RENEWED_AFTER:
                if self._wire is wire:
                    self._wire = None  # the next attempt has all found anew
                wire.close()
                error.passes = True
            raise
        self._hear()
        return answer

    def _hear(self) -> None:
        self._answered = time.monotonic()
        self._silence = None

    def _connected(self, end: float) -> Wire:
        made = self._wire
        if made is not None:
            return made
        if not self._making.acquire(timeout=max(end - time.monotonic(), 0)):
            raise NoAnswer("Timeout", "region and credentials are still looked for")
        try:
            made = self._wire = self._wire or Wire()
        except BotoCoreError as error:
            raise NoAnswer(type(error).__name__, str(error)) from error
        finally:
            self._making.release()
        return made


class Budget:
    """How many retries are left."""

    def __init__(self) -> None:
        self._left = float(RETRIES)
        self._counted = time.monotonic()
        self._counting = threading.Lock()

    def take(self) -> bool:
        with self._counting:
            now = time.monotonic()
            self._left = min(RETRIES, self._left + (now - self._counted) * RETRIES_A_SECOND)
            self._counted = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
