"""The status page: what runs, whether the store answers, and what the operator has to say.

It answers 200 whatever the store does: that is what it is there to tell.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import asdict
from datetime import datetime
from threading import Lock
from typing import Any

from flask import Blueprint, Response, current_app, render_template

from comments.errors import StoreError, json_response
from comments.models import MAX_PAGE, Comment
from comments.store import CommentStore
from comments.telemetry import now
from comments.web.headers import protect
from comments.web.runtime import Runtime

SHOWN = 20
"""Messages, the newest first."""

PATIENCE = 2.0
"""Seconds that a page waits for the store; its own attempts may take three times as long."""

status = Blueprint("status", __name__, template_folder="templates")
status.after_request(protect)  # not on the whole service: lists would pay for it


class Board:
    """What the status page shows. Messages are remembered, since they matter most when the store is gone.

    One thread of its own asks the store, for all requests that wait meanwhile: a store that hangs must not take the
    server's threads with it, which would also fail /healthz.
    """

    def __init__(self, store: CommentStore, runtime: Runtime, *, thread: int | None) -> None:
        self._store = store
        self._runtime = runtime
        self._thread = thread
        self._messages: list[dict[str, str]] = []
        self._read_at: str | None = None
        self._asker = ThreadPoolExecutor(1, "status")  # its thread starts with the first request, after the fork
        self._asked: Future[dict[str, Any]] | None = None
        self._asking = Lock()

    def look(self) -> dict[str, Any]:
        with self._asking:
            if self._asked is None or self._asked.done():
                self._asked = self._asker.submit(self._ask)
            asked = self._asked
        try:
            state = asked.result(PATIENCE)
        except FutureTimeout:
            state = {"status": "UNAVAILABLE", "milliseconds": PATIENCE * 1000, "reason": "Timeout"}
        return {
            "status": "OK" if state["status"] == "OK" else "DEGRADED",
            **asdict(self._runtime.describe()),
            "store": state,
            "messages": self._messages,
            "messages_read_at": self._read_at,
        }

    def _ask(self) -> dict[str, Any]:
        """Ask the store, and when it answers read the messages again."""
        before = time.perf_counter()
        try:
            self._store.ping()
            milliseconds = _milliseconds(before)
            if self._thread is not None:
                self._messages, self._read_at = self._read(self._thread), now()
        except StoreError as error:
            return {"status": "UNAVAILABLE", "milliseconds": _milliseconds(before), "reason": _reason(error)}
        return {"status": "OK", "milliseconds": milliseconds, "reason": None}

    def _read(self, thread: int) -> list[dict[str, str]]:
        """Return the newest messages; the thread is read whole, since the operator alone writes to it."""
        comments: list[Comment] = []
        after, more = None, True
        while more:
            page = self._store.list_page(thread, after=after, limit=MAX_PAGE)
            comments = [*comments, *page.comments][-SHOWN:]
            more = page.more and bool(page.comments)
            after = comments[-1]["id"] if comments else None
        return [{name: each[name] for name in ("id", "comment", "created_at")} for each in reversed(comments)]


def _milliseconds(before: float) -> float:
    return round((time.perf_counter() - before) * 1000, 1)


def _reason(error: StoreError) -> str:
    """Name the kind of failure and nothing else: messages may hold paths, addresses or accounts."""
    cause = error.__cause__ or error
    return str(getattr(cause, "kind", type(cause).__name__))  # a DynamoDBError's is AWS's code


@status.app_template_filter()
def moment(created_at: str) -> str:
    """Write a time as people read it: 24 November 2026, 09:37 UTC."""
    then = datetime.fromisoformat(created_at)
    return f"{then.day} {then:%B %Y, %H:%M} UTC"


@status.get("/api/status")
def for_programs() -> Response:
    return json_response(_board().look(), headers={"Cache-Control": "no-store"})


@status.get("/status")
def for_people() -> Response:
    return Response(render_template("status.html", **_board().look()), headers={"Cache-Control": "no-store"})


def _board() -> Board:
    board: Board = current_app.extensions["status"]
    return board
