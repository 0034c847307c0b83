"""Rate limit on posting."""

import math
import time
from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from comments.errors import RateLimited

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class PostLimit:
    """Fixed-window rate limit on posting, per client and process. On AWS, WAF enforces a limit across all tasks.

    All clients share one window, at whose end all counts are dropped: a client can post twice the limit around it. The
    memory storage of the `limits` package visits every client on each hit: 15 ms of CPU with 100,000 of them.
    """

    def __init__(self, rate: str) -> None:
        """`rate` is a number per unit, such as 10/minute, or empty for no limit."""
        number, _, unit = (rate or "0/second").partition("/")
        self._limit, self._seconds = int(number), SECONDS[unit]
        self._end = 0.0
        self._posts = Counter[str]()

    def hit(self, address: str) -> None:
        """Count a comment. Raises RateLimited if there are too many."""
        if not self._limit:
            return
        now = time.monotonic()
        if now >= self._end:
            self._end, self._posts = now + self._seconds, Counter()
        client = _client_of(address)
        self._posts[client] += 1
        if self._posts[client] > self._limit:
            raise RateLimited(math.ceil(self._end - now))


def _client_of(address: str) -> str:
    """Return the address, or the /64 of an IPv6 address: its owner can usually use every address of the network."""
    try:
        if address.startswith("[") or address.count(":") == 1:  # some proxies append the port
            address = urlsplit(f"//{address}").hostname or address
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
    return address
