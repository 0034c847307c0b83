"""What a month of requests amounts to: bytes, lines, reads and writes. Every assumption of `make cost` is here."""

from dataclasses import dataclass

from infra.cost.prices import HOURS

_KB, _GB, _MILLION = 1e3, 1e9, 1e6

POSTS = 0.1
"""One request in ten stores a comment; the others list a page of 20."""
ANSWER_KB = 4.0
"""A page of 20 comments and its headers."""
COMMENT_KB = 0.3
"""Rounded up to a kilobyte when it is written."""
PAGE_READ_UNITS = 2.0
"""A consistent read of the 20 comments: 6 kB at 4 kB a unit."""
LINE_KB = 0.4
"""A request's log line, CloudWatch's own 26 bytes included."""
METRICS_KB = 0.2
"""What embedded metrics add to a line."""
ACCESS_LINE_KB = 0.1
"""A line of the balancer's access log, compressed."""
ROUTES = 16
"""Routes in use all month: each is one metric, unknown paths together are one more; an idle hour is free."""
REFUSED = 0.01
"""What the web ACL refuses, each with a line of 2 kB."""
NOISE_GB = 0.1
"""Rejected connections of a month, in the flow log."""
MONTHS_STORED = 12
"""Comments are kept; the table is as large as after a year."""
NEW_CONNECTIONS = 0.5
"""Of the requests, those that open a connection."""


@dataclass(frozen=True)
class Traffic:
    """A month's requests, spread evenly: ten million are 230 a minute, which one task answers."""

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
    def answered_gb(self) -> float:
        return self.requests * (1 - POSTS) * ANSWER_KB * _KB / _GB

    def line_gb(self, *, metrics: bool) -> float:
        return self.requests * (LINE_KB + (METRICS_KB if metrics else 0)) * _KB / _GB

    @property
    def access_line_gb(self) -> float:
        return self.requests * ACCESS_LINE_KB * _KB / _GB

    @property
    def refused_gb(self) -> float:
        return self.requests * REFUSED * 2 * _KB / _GB

    @property
    def stored_gb(self) -> float:
        return self.requests * POSTS * COMMENT_KB * _KB / _GB * MONTHS_STORED

    @property
    def balancer_units(self) -> float:
        """LCUs on the average: whichever is most of connections (25 a second) and bytes (1 GB an hour)."""
        seconds = HOURS * 3600
        return max(self.requests * NEW_CONNECTIONS / seconds / 25, self.answered_gb / HOURS)
