"""Comment ids: UUIDv7 with the clock in the first 60 bits (RFC 9562, section 6.2, method 3), so they sort by time."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID

TICKS_PER_MS = 4096
"""Resolution of the 12 bits after the version, which hold the fraction of a millisecond: about 0.24 µs."""

RANDOM_BITS = 62
"""Bits of an id that do not come from the clock."""


def now() -> int:
    """Return the system time in ticks since 1970."""
    return time.time_ns() * TICKS_PER_MS // 1_000_000


def ticks(seconds: float) -> int:
    return int(seconds * 1000 * TICKS_PER_MS)


def id_at(tick: int, *, random: int | None = None) -> str:
    """Return an id for a tick. Pass `random` (62 bits) to get the same id every time."""
    milliseconds, fraction = divmod(tick, TICKS_PER_MS)
    bits = secrets.randbits(RANDOM_BITS) if random is None else random
    return str(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | bits))


def tick_of(comment_id: str) -> int:
    value = int(comment_id.replace("-", ""), 16)
    return (value >> 80) * TICKS_PER_MS + (value >> 64) % TICKS_PER_MS


def created_at(comment_id: str) -> str:
    return timestamp(tick_of(comment_id) // TICKS_PER_MS / 1000)


def timestamp(seconds: float) -> str:
    """Format a Unix time as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
