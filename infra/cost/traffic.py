"""Assumptions of `make cost` about traffic: usage per million requests. A kilobyte per request is a gigabyte here.

Requests are spread evenly: ten million a month are 230 per minute, which one task can serve.
"""

_POSTS = 0.1
"""Share of requests that store a comment; the others list a page of 20."""
RESPONSE_GB = 4.0 * (1 - _POSTS)
"""A page of 20 comments and its headers is 4 kB."""
WRITE_UNITS = 4.0 * _POSTS
"""In millions. embed.js sends an idempotency key, so a post is a transaction of two items of two units each."""
READ_UNITS = 2.0 * (1 - _POSTS) + _POSTS
"""In millions. A consistent read of 20 comments is 6 kB, and a read unit 4 kB. A post reads the key."""
STORED_GB = 0.3 * _POSTS * 12
"""A comment is 0.3 kB. Comments accumulate: storage is billed as after a year."""
LINE_GB = 0.4
"""Log line of a request, including CloudWatch's 26 bytes."""
METRICS_GB = 0.2
"""Embedded metrics in a log line."""
ACCESS_LINE_GB = 0.1
"""Line of the load balancer's access log, compressed."""
BLOCKED_GB = 0.01 * 2
"""The web ACL blocks 1% of requests, each with a log line of 2 kB."""
NEW_CONNECTIONS = 0.5
"""In millions: half of the requests open a connection."""
ROUTES = 16
"""Routes in use all month, one metric each; unknown paths count as one route. Idle hours are free."""
REJECTED_GB = 0.1
"""Flow log of a month: rejected connections."""
