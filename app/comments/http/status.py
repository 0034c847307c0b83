"""Data of /status and /api/status: the version, the state of the store, and the operator's messages."""

import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from comments.config import Settings
from comments.errors import StoreError
from comments.http.schemas import Message
from comments.ids import timestamp
from comments.notifications.outbox import states
from comments.stores import CommentStore

log = logging.getLogger(__name__)

VERSION = "1.0.0"

MESSAGES = 20
"""Number of messages shown, newest first."""

STORE_TIMEOUT = 2.0
"""Seconds to wait for the store. Its retries may take several times as long."""

CHECK_SECONDS = 5.0
"""How long a result is shown. A check takes up to four calls of the store, so that visitors cause few of them."""


class StatusBoard:
    """Checks the store, and caches the operator's messages because they matter most when the store is down.

    Requests share one check.
    """

    def __init__(self, store: CommentStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._thread = settings.status_thread
        self._notifications: list[dict[str, Any]] = []
        self._running = {
            "version": VERSION,
            "commit": settings.commit or None,
            "digest": os.environ.get("IMAGE_DIGEST"),  # infra/ sets it
            "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            "started_at": timestamp(time.time()),
        }
        self._messages: list[dict[str, str]] = []
        self._read_at: str | None = None
        self._executor = ThreadPoolExecutor(1, "status")
        self._check: Future[dict[str, Any]] | None = None
        self._checked_at = 0.0

    def read(self) -> dict[str, Any]:
        """Return a Status (see schemas.py). Never raises: people look here when something is broken."""
        now = time.monotonic()
        if self._check is None or (self._check.done() and now >= self._checked_at + CHECK_SECONDS):
            self._check, self._checked_at = self._executor.submit(self._check_store), now
        try:
            state = self._check.result(STORE_TIMEOUT)
        except TimeoutError:
            state = {"status": "UNAVAILABLE", "milliseconds": STORE_TIMEOUT * 1000, "reason": "Timeout"}
        return {
            "status": "OK" if state["status"] == "OK" else "DEGRADED",
            **self._running,
            "store": state,
            "notifications": self._notifications,
            "messages": self._messages,
            "messages_read_at": self._read_at,
        }

    def _check_store(self) -> dict[str, Any]:
        started = time.perf_counter()
        reason = None
        try:
            if self._thread is not None:
                page = self._store.list_comments(self._thread, limit=MESSAGES, newest_first=True)
                self._messages = [Message.model_validate(each, extra="ignore").model_dump() for each in page.comments]
                self._read_at = timestamp(time.time())
            self._notifications = states(self._settings, self._store)
            self._store.ping()
        except Exception as error:  # whatever is broken, the status page must show it
            if not isinstance(error, StoreError):
                log.exception("unexpected error of the store")
            # Only the kind of failure: messages may contain paths or account ids.
            reason = error.reason if isinstance(error, StoreError) else type(error).__name__
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        return {"status": "UNAVAILABLE" if reason else "OK", "milliseconds": milliseconds, "reason": reason}
