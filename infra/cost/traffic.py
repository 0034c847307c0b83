"""Per-request assumptions of `make cost`, and the monthly usage that follows from them."""

from dataclasses import dataclass

from infra.cost.prices import HOURS

_KB, _GB, _MILLION = 1e3, 1e9, 1e6

POSTS = 0.1
"""Share of requests that store a comment; the others list a page of 20."""
RESPONSE_KB = 4.0
"""A page of 20 comments and its headers."""
COMMENT_KB = 0.3
"""A write unit is 1 kB, so each write takes one."""
PAGE_READ_UNITS = 2.0
"""A consistent read of 20 comments is 6 kB, and a read unit 4 kB."""
LINE_KB = 0.4
"""Log line of a request, including CloudWatch's 26 bytes."""
METRICS_KB = 0.2
"""Embedded metrics in a log line."""
ACCESS_LINE_KB = 0.1
"""Line of the load balancer's access log, compressed."""
ROUTES = 16
"""Routes in use all month, one metric each; unknown paths count as one route. Idle hours are free."""
BLOCKED = 0.01
"""Share of requests that the web ACL blocks, each with a log line of 2 kB."""
REJECTED_GB = 0.1
"""Flow log of a month: rejected connections."""
MONTHS_STORED = 12
"""Comments accumulate: storage is billed as after a year."""
NEW_CONNECTIONS = 0.5
"""Share of requests that open a connection."""


@dataclass(frozen=True)
class Traffic:
    """Requests of a month, spread evenly: ten million are 230 per minute, which one task can serve."""

    requests: float

    @property
    def millions(self) -> float:
        return self.requests / _MILLION

    @property
    def posted_millions(self) -> float:
        return self.millions * POSTS

    @property
    def read_units_millions(self) -> float:
        return self.millions * (1 - POSTS) * PAGE_READ_UNITS

    @property
    def response_gb(self) -> float:
        return self.requests * (1 - POSTS) * RESPONSE_KB * _KB / _GB

    def line_gb(self, *, metrics: bool) -> float:
        return self.requests * (LINE_KB + (METRICS_KB if metrics else 0)) * _KB / _GB

    @property
    def access_log_gb(self) -> float:
        return self.requests * ACCESS_LINE_KB * _KB / _GB

    @property
    def blocked_gb(self) -> float:
        return self.requests * BLOCKED * 2 * _KB / _GB

    @property
    def stored_gb(self) -> float:
        return self.requests * POSTS * COMMENT_KB * _KB / _GB * MONTHS_STORED

    @property
    def load_balancer_units(self) -> float:
        """Average LCUs: the maximum of new connections (25 a second) and bytes (1 GB an hour)."""
        seconds = HOURS * 3600
        return max(self.requests * NEW_CONNECTIONS / seconds / 25, self.response_gb / HOURS)
