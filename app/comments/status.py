"""Data of /status and /api/status: the version, the state of the store, and the operator's messages."""

import json
import logging
import os
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

from comments.config import Settings
from comments.errors import StoreError
from comments.ids import timestamp
from comments.stores import CommentStore

log = logging.getLogger(__name__)

VERSION = "0.2.0"
"""As in pyproject.toml, which is not part of the image."""

MESSAGES = 20
"""Number of messages shown, newest first."""

STORE_TIMEOUT = 2.0
"""Seconds to wait for the store. Its retries may take several times as long."""

METADATA_TIMEOUT = 1
"""Seconds to wait for the metadata endpoint of ECS, which is on the same host."""


class StatusBoard:
    """Checks the store, and caches the operator's messages because they matter most when the store is down.

    Concurrent requests share one check.
    """

    def __init__(self, store: CommentStore, settings: Settings) -> None:
        self._store = store
        self._thread = settings.status_thread
        self._running: dict[str, Any] = {
            "version": VERSION,
            "commit": settings.commit or None,
            "digest": None,
            "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            "started_at": timestamp(time.time()),
        }
        self._messages: list[dict[str, str]] = []
        self._read_at: str | None = None
        self._executor = ThreadPoolExecutor(1, "status")
        self._check: Future[dict[str, Any]] | None = None

    def read(self) -> dict[str, Any]:
        """Return a Status (see schemas.py). Never raises: people look here when something is broken."""
        if self._check is None or self._check.done():
            self._check = self._executor.submit(self._check_store)
        try:
            state = self._check.result(STORE_TIMEOUT)
        except TimeoutError:
            state = {"status": "UNAVAILABLE", "milliseconds": STORE_TIMEOUT * 1000, "reason": "Timeout"}
        return {
            "status": "OK" if state["status"] == "OK" else "DEGRADED",
            **self._running,
            "store": state,
            "messages": self._messages,
            "messages_read_at": self._read_at,
        }

    def _check_store(self) -> dict[str, Any]:
        if self._running["digest"] is None:
            self._running |= _ecs_metadata()
        started = time.perf_counter()
        reason = None
        try:
            self._store.ping()
            if self._thread is not None:
                page = self._store.list_comments(self._thread, limit=MESSAGES, newest_first=True)
                self._messages = [
                    {"id": each["id"], "comment": each["comment"], "created_at": each["created_at"]}
                    for each in page.comments
                ]
                self._read_at = timestamp(time.time())
        except Exception as error:  # whatever is broken, the status page must show it
            if not isinstance(error, StoreError):
                log.exception("unexpected error of the store")
            # Only the kind of failure: messages may contain paths or account ids.
            reason = error.reason if isinstance(error, StoreError) else type(error).__name__
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        return {"status": "UNAVAILABLE" if reason else "OK", "milliseconds": milliseconds, "reason": reason}


def _ecs_metadata() -> dict[str, str]:
    """Return the digest of the image and the region from ECS task metadata, version 4; empty outside ECS."""
    address = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if not address:
        return {}
    try:
        with urllib.request.urlopen(address, timeout=METADATA_TIMEOUT) as response:  # noqa: S310  # set by ECS
            metadata = json.load(response)
        found = {"digest": metadata["Image"].partition("@")[2]}
        arn = metadata["Labels"]["com.amazonaws.ecs.task-arn"].split(":")  # arn:aws:ecs:REGION:…
        return {name: value for name, value in (found | {"region": arn[3]}).items() if value}
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}  # retried on the next request
