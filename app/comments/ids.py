"""Ids that sort by time: UUIDv7 whose first 60 bits are the clock (RFC 9562, section 6.2, method 3)."""

import secrets
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

TICKS = 4096
"""Ticks in a millisecond: the 12 bits behind the version hold its fraction, about 0.24 µs each."""


class Clock:
    """Ticks since 1970 that never repeat and never run backwards within this process."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def tick(self, *, after: int = 0) -> int:
        """Return a tick later than any before it and than `after`, even when the system's clock was set back."""
        now = time.time_ns() * TICKS // 1_000_000
        with self._lock:
            self._last = max(now, self._last + 1, after + 1)
            return self._last


RANDOM_BITS = 62
"""Bits of an id behind its clock."""


def id_at(tick: int, *, random: int | None = None) -> str:
    """Return an id of the tick; who imports gives the random bits, so that doing it again makes the same id."""
    milliseconds, fraction = divmod(tick, TICKS)
    bits = secrets.randbits(RANDOM_BITS) if random is None else random
    return str(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | bits))


def tick_of(comment_id: str) -> int:
    value = int(comment_id.replace("-", ""), 16)
    return (value >> 80) * TICKS + (value >> 64) % TICKS


def created_at(tick: int) -> str:
    """Return the tick's time as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(tick // TICKS / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
