"""How often one client may post. Each worker counts on its own, in memory; on AWS the web ACL counts for all tasks."""

import math
import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from comments.errors import TooManyPosts


class PostLimit(Protocol):
    def count(self, client: str) -> None:
        """Count a post from this address; raises TooManyPosts."""
        ...


class NoLimit:
    """What takes its place where nothing is limited."""

    def count(self, client: str) -> None:
        """Let it pass."""


class WindowLimit:
    """So many posts in any window of that time."""

    def __init__(self, rate: str) -> None:
        """`rate` is a number and a unit, such as 10/minute."""
        from limits import parse  # noqa: PLC0415  # 0.1 s, and most services have no limit
        from limits.storage import MemoryStorage  # noqa: PLC0415  # part of the 0.1 s, for a limit alone
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415  # part of the 0.1 s, for a limit alone

        self._rate = parse(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, client: str) -> None:
        who = _who(client)
        if not self._limiter.hit(self._rate, who):
            free_at = self._limiter.get_window_stats(self._rate, who).reset_time
            raise TooManyPosts(seconds=max(1, math.ceil(free_at - time.time())))


def _who(client: str) -> str:
    """Return who an address stands for: with IPv6 one client has a whole /64 to choose from."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if not isinstance(address, IPv6Address):
        return client
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def post_limit(rate: str) -> PostLimit:
    return WindowLimit(rate) if rate else NoLimit()
