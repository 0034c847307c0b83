"""Notifications: delivers what is in the store's outbox to a webhook and by email, at least once and in order.

One process at a time delivers, the holder of a lease. It changes the value of the lease every few seconds, and empties
it when it stops. If the value stays the same, the holder was killed, and another process replaces it. Clocks of
different machines are not compared.
"""

import atexit
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import gevent

from comments.config import Settings
from comments.errors import StoreError
from comments.ids import created_at, timestamp
from comments.logs import directive, embedded
from comments.notifications.channels import TARGETS, DeliveryError, Message, Refused, Target
from comments.stores import CommentStore

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
RENEW_SECONDS = 15.0
"""How often the holder renews the lease, and others look at it."""
LEASE_SECONDS = 60.0
"""How long the lease must be unchanged before another process takes it. Longer than `RENEW_SECONDS`, a delivery and a
slow call of the store together."""

DELIVERY_SECONDS = 20.0
"""How long a delivery may take as a whole."""

FIRST_RETRY, LAST_RETRY = 10.0, 3600.0
"""Seconds until the next attempt. They double after each failure."""
ATTEMPTS = 3
"""Refusals after which a notification is dropped."""

LATE_SECONDS = 300.0
"""Age of an undelivered notification from which /status shows its target as failing."""

REPORT_SECONDS = 60.0
"""How often the holder logs the age of the oldest notification, and the number of pending comments."""
MAX_PENDING = 100
"""Maximum number of pending comments that are counted, because each has to be read."""


class Queue:
    """The undelivered notifications of a target."""

    def __init__(self, target: Target, store: CommentStore, base_url: str) -> None:
        self._target, self._store, self._base_url = target, store, base_url
        self._next_at = 0.0
        self._failures = self._refusals = 0
        self._delivered: set[str] = set()
        """Ids of the last delivery, which stay in the outbox while the store takes no changes, as on a full disk."""

    def deliver(self) -> bool:
        """Deliver the oldest notifications if it is time. Returns whether others can follow immediately."""
        if time.monotonic() < self._next_at:
            return False
        # Of an email that was refused, deliver each comment by itself, to drop only the one that the server refuses.
        limit = 1 if self._refusals else self._target.batch
        notifications = self._store.list_outbox(self._target.name, limit=limit)
        messages = []
        for each in notifications:
            if each.id in self._delivered:
                continue
            if comment := self._store.find(each.content_id, each.comment_id):  # unless it was deleted
                path = f"{each.content_id}/{comment['id']}"
                link = f"{self._base_url}/moderate#{path}" if self._base_url else ""
                messages.append(Message(each.id, each.event, comment, link))
        if messages and not self._send(messages):
            return False
        self._delivered = {each.id for each in notifications}
        for each in notifications:
            self._store.remove_from_outbox(self._target.name, each.id)
        return bool(notifications)

    def _send(self, messages: Sequence[Message]) -> bool:
        """Return whether the messages are delivered, or dropped."""
        try:
            with gevent.Timeout(DELIVERY_SECONDS, DeliveryError("the delivery timed out")):
                self._target.send(messages)
        except DeliveryError as error:
            self._failures += 1
            self._refusals += isinstance(error, Refused)
            seconds = min(FIRST_RETRY * 2 ** min(self._failures - 1, 10), LAST_RETRY)
            self._next_at = time.monotonic() + seconds
            ids = ", ".join(message.comment["id"] for message in messages)
            if self._refusals < ATTEMPTS:
                text = "notification failed: %s: %s; next attempt in %.0f s; comments: %s"
                log.warning(text, self._target.name, error, seconds, ids)
                return False
            log.error("notification dropped: %s: %s; comments: %s", self._target.name, error, ids)  # noqa: TRY400  # no traceback
        else:
            self._next_at = time.monotonic() + self._target.interval
        self._failures = self._refusals = 0
        return True


class Deliverer:
    """Delivers notifications while this process holds the lease."""

    def __init__(self, settings: Settings, store: CommentStore) -> None:
        self._settings, self._store = settings, store
        base_url = settings.url.rstrip("/")
        self._queues = [Queue(TARGETS[name](settings), store, base_url) for name in settings.notify]
        self._is_holder = self._stopped = False
        self._lease = ""
        """The last known value of the lease."""
        self._changed_at = self._checked_at = self._reported_at = -LEASE_SECONDS

    def run(self) -> None:
        while True:
            try:
                self.deliver_all()
            except Exception:  # such as a failure of the store: later attempts may succeed
                log.exception("notifications are delayed")
            time.sleep(POLL_SECONDS)

    def deliver_all(self) -> None:
        """Deliver what is due, in turns, so that a slow target does not delay the others for long."""
        while any([self._has_lease() and queue.deliver() for queue in self._queues]):  # noqa: C419  # each has its turn
            self._report()
        self._report()

    def _report(self) -> None:
        now = time.monotonic()
        if not self._is_holder or now < self._reported_at + REPORT_SECONDS:
            return
        self._reported_at = now
        oldest = [each["oldest"] for each in states(self._settings, self._store) if each["oldest"]]
        age = datetime.now(UTC) - datetime.fromisoformat(min(oldest)) if oldest else timedelta()
        line: dict[str, Any] = {
            "message": "notifications",
            "undelivered_seconds": max(round(age.total_seconds()), 0),
            "pending": len(self._store.list_held(limit=MAX_PENDING).comments),
        }
        if self._settings.metrics:
            line |= embedded([directive(self._settings.metrics, {"undelivered_seconds": "Seconds"})])
        log.info(line)  # not extra, from which the formatter leaves out _aws

    def stop(self) -> None:
        """Stop delivering, and let another process start at once."""
        self._stopped = True
        if self._is_holder:
            with suppress(StoreError):  # then the lease expires
                self._store.replace_lease(self._lease, "")

    def _has_lease(self) -> bool:
        now = time.monotonic()
        if self._stopped:
            return False
        if now < self._checked_at + RENEW_SECONDS:
            return self._is_holder
        self._checked_at = now
        is_mine = self._is_holder or now >= self._changed_at + LEASE_SECONDS
        new = uuid4().hex
        value = self._store.replace_lease(self._lease if is_mine else "", new)
        self._is_holder = value == new
        if value != self._lease:
            self._lease, self._changed_at = value, now
        return self._is_holder


def start(settings: Settings, store: CommentStore) -> None:
    """Deliver in a thread of this process, which is a greenlet under gunicorn. Requests never wait for a target."""
    if settings.notify:
        deliverer = Deliverer(settings, store)
        threading.Thread(target=deliverer.run, name="outbox", daemon=True).start()
        atexit.register(deliverer.stop)


def states(settings: Settings, store: CommentStore) -> list[dict[str, Any]]:
    """Return a NotificationStatus (see http/schemas.py) for each target."""
    found = []
    late = timestamp(time.time() - LATE_SECONDS)
    for target in settings.notify:
        oldest = next((created_at(each.id) for each in store.list_outbox(target, limit=1)), None)
        found.append({"target": target, "status": "FAILING" if oldest and oldest < late else "OK", "oldest": oldest})
    return found
