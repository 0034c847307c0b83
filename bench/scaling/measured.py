"""What the working-out rests on: times measured on this project, AWS's published quotas, and times AWS has published.

Every number stands here once, with where it comes from; `python -m bench.scaling` turns them into docs/scaling.md.
"""

from dataclasses import dataclass

LIST_CPU = 0.40e-3
POST_CPU = 0.41e-3
"""Seconds of CPU of a page of 20 and of a post on DynamoDB, user and system, of gunicorn and the log line too.

Against Amazon's local engine, in plain HTTP, on an idle machine (`python -m bench traffic`); 1.05 ms on a slower one
that had other work.
"""
SQLITE_LIST_CPU = 0.18e-3
SQLITE_POST_CPU = 0.24e-3
"""The same on SQLite."""
PAGE_UNITS = 2.0
"""Read units of a page of 20 comments of 300 bytes: 6 kB, 4 kB a unit, read consistently."""
POST_UNITS, POST_WITH_KEY_UNITS = 1.0, 4.0
"""Write units of a comment of up to 1 kB; with an idempotency key a transaction writes two items, each at twice."""

TASK_STARTS = 23.0
"""Seconds from the decision to a running task: AWS's own benchmark on Fargate (386 - 363 s, 109 - 86 s)."""
APP_STARTS = 1.0
"""Seconds to the first 200 on a quarter of a vCPU (`python -m bench.image`)."""
SEEN_AFTER = {60: 363.0, 20: 86.0}
"""Seconds from a spike to the decision, by the seconds between two values of CPU: AWS's own benchmark, June 2026.

https://aws.amazon.com/blogs/aws/amazon-ecs-introduces-new-high-resolution-metrics-for-faster-service-auto-scaling
Three values in a row must be above the target; the rest is the time until AWS has published and read them.
"""
VALUES_NEEDED = 3


@dataclass(frozen=True)
class Quota:
    """A default limit of AWS, per account and region unless it is of a resource."""

    name: str
    value: float
    adjustable: bool
    source: str


READ_ON = "2026-11"
_DYNAMODB = "docs.aws.amazon.com/amazondynamodb, on-demand mode"

PARTITION_READS = Quota("read units of one partition, a second", 3_000, False, _DYNAMODB)
PARTITION_WRITES = Quota("write units of one partition, a second", 1_000, False, _DYNAMODB)
NEW_TABLE_READS = Quota("read units of a new table at once, a second", 12_000, False, _DYNAMODB)
TABLE_READS = Quota("read units of a table, a second", 40_000, True, _DYNAMODB)
TABLE_WRITES = Quota("write units of a table, a second", 40_000, True, _DYNAMODB)
VCPUS = Quota("vCPUs of Fargate in a new account", 6, True, "docs.aws.amazon.com/general, ecs-service")
LAUNCHES = Quota("tasks that start a second", 20, True, "docs.aws.amazon.com/AmazonECS, throttling")
SERVICE_TASKS = Quota("tasks of a service", 5_000, True, "docs.aws.amazon.com/general, ecs-service")
TARGETS = Quota("targets of a balancer", 1_000, True, "docs.aws.amazon.com/elasticloadbalancing, load-balancer-limits")
WEB_ACL = Quota("requests through a web ACL, a second", 100_000, True, "docs.aws.amazon.com/waf, limits")
LOG_CALLS = Quota("PutLogEvents a second", 5_000, True, "docs.aws.amazon.com/AmazonCloudWatch, logs quotas")
LOG_CALLS_OF_A_TASK = 0.2
"""A task's log driver sends what it has every five seconds, or a megabyte."""
RESERVED_ADDRESSES = 5
"""Addresses of a subnet that AWS keeps for itself."""
BALANCER_ADDRESSES = 100
"""Addresses that a balancer may take in the stage's subnets; AWS recommends to leave that many free."""
