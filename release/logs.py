"""Reads the log of a stage: `python -m release logs STAGE [--query NAME | --request ID] [--follow]`."""

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from urllib3.exceptions import HTTPError

from infra.config import WORKLOAD
from infra.model import PLACEHOLDER, Stage
from release.aws import Aws
from release.command import NotReadyError, ReleaseError

POLL_SECONDS = 0.5
INGESTION_SECONDS = 15.0
"""Time until log lines are available in CloudWatch Logs."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_METRICS = re.compile(r',"_aws":\{.*\}(?=\}$)')
"""The part of a line that CloudWatch turns into metrics."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Form of the request IDs that the service accepts; it replaces others."""
_REQUEST_FIELDS = ("time", "level", "request_id", "method", "path", "status", "duration_ms", "message", "traceback")
_MAX_WIDTH = 60
_LAST_LINES, _ERRORS_READ = 20, 100

Row = Mapping[str, str]


def seconds(text: str) -> int:
    """Parse a duration such as 90s, 10m, 2h or 1d."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write 90s, 10m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def request_pattern(request_id: str) -> str:
    """Return the filter pattern for a request's lines."""
    if not _REQUEST_ID.fullmatch(request_id):
        raise argparse.ArgumentTypeError(
            f"{request_id!r} is not a request ID: take it from the response's X-Request-Id header"
        )
    return f'{{ $.request_id = "{request_id}" }}'


def past_events(aws: Aws, *, since: float, pattern: str) -> Iterator[tuple[int, str]]:
    """Yield time (in milliseconds) and text of each log line; `since` is a Unix time."""
    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=aws.stage.app_log_group, startTime=int(since * 1000), filterPattern=pattern
    )
    yield from ((event["timestamp"], event["message"].rstrip()) for event in pages.search("events"))


def last_log_lines(aws: Aws, task_id: str) -> tuple[str, ...]:
    # PREFIX/CONTAINER/TASK; infra/constructs/fargate_service.py uses the container's name as the prefix
    stream = f"{WORKLOAD.container}/{WORKLOAD.container}/{task_id}"
    with suppress(aws.logs.exceptions.ResourceNotFoundException):  # a stream is created with its first line
        found = aws.logs.get_log_events(logGroupName=aws.stage.app_log_group, logStreamName=stream, limit=_LAST_LINES)
        return tuple(event["message"].rstrip() for event in found["events"])
    return ()


def error_lines(aws: Aws, *, since: float) -> list[str]:
    """Return the log lines with the reasons for 5xx responses, of any task; `since` is a Unix time."""
    try:
        events = past_events(aws, since=since, pattern=WORKLOAD.failures.pattern)
        return [line for _, line in islice(events, _ERRORS_READ)]
    except aws.logs.exceptions.ResourceNotFoundException:
        return []


def lines(aws: Aws, *, since: float, pattern: str, follow: bool) -> Iterator[str]:
    """Yield log lines without their metrics; with `follow`, continue with new ones (CloudWatch: for three hours)."""
    live = None
    if follow:  # before reading past events, so that no line is missed in between
        partition = aws.session.get_partition_for_region(aws.region)
        arn = f"arn:{partition}:logs:{aws.region}:{aws.account}:log-group:{aws.stage.app_log_group}"
        live = aws.logs.start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern=pattern)["responseStream"]
    recent, shown = (time.time() - INGESTION_SECONDS) * 1000, set[tuple[int, str]]()
    for at, line in past_events(aws, since=since, pattern=pattern):
        if at > recent:  # it may be among the live ones, too
            shown.add((at, line))
        yield _METRICS.sub("", line)
    for update in live or ():
        for event in update.get("sessionUpdate", {}).get("sessionResults", []):
            line = event.get("message", "").rstrip()
            if (event.get("timestamp"), line) not in shown:
                yield _METRICS.sub("", line)


def request_lines(aws: Aws, pattern: str, *, since: float) -> list[Row]:
    """Return the log lines of one request, oldest first; raise NotReadyError if there are none."""
    deadline = time.monotonic() + INGESTION_SECONDS
    while not (events := sorted(past_events(aws, since=since, pattern=pattern))):
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"no log line with {pattern} in {aws.stage.app_log_group}: search further back with --since"
                " (ARGS='--since 7d'), or search the access log if no task received it"
            )
        time.sleep(POLL_SECONDS * 4)
    entries = [json.loads(line) for _, line in events]
    return [{name: str(entry[name]) for name in _REQUEST_FIELDS if name in entry} for entry in entries]


def run_query(aws: Aws, query: str, *, since: float) -> list[Row]:
    """Return the rows of a Logs Insights query; `since` is a Unix time."""
    started = aws.logs.start_query(
        logGroupName=aws.stage.app_log_group, startTime=int(since), endTime=int(time.time()) + 1, queryString=query
    )
    while (found := aws.logs.get_query_results(queryId=started["queryId"]))["status"] in {"Scheduled", "Running"}:
        time.sleep(POLL_SECONDS)
    if found["status"] != "Complete":
        raise ReleaseError(f"the query ended with status {found['status']}: query a shorter period with --since")
    return [{cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in found["results"]]


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a header and an aligned line for each row, followed by its traceback."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "traceback"))
    widths = {name: min(_MAX_WIDTH, max(len(name), *(len(row.get(name, "")) for row in rows))) for name in names}
    yield "  ".join(name.ljust(widths[name]) for name in names).rstrip()
    for row in rows:
        yield "  ".join(row.get(name, "-").ljust(widths[name]) for name in names).rstrip()
        yield from (f"    {line}" for line in row.get("traceback", "").splitlines())


def show(stage: Stage, arguments: argparse.Namespace) -> None:
    """Print the result of a query, the lines of one request, or all lines. `add_options` explains the arguments."""
    if arguments.query and arguments.follow:
        raise NotReadyError("a query can't be followed: omit --follow (FOLLOW=1) or --query (QUERY=…)")
    if arguments.query and stage.is_playground:
        raise NotReadyError("saved queries need CloudWatch Logs Insights, which the playground does not have")
    aws = Aws.of(stage)
    default = "1h" if arguments.query else "1d" if arguments.request else "10m"
    since = max(0.0, time.time() - (arguments.since or seconds(default)))
    pattern = arguments.request or arguments.filter
    try:
        if arguments.query:
            rows = run_query(aws, WORKLOAD.queries[arguments.query], since=since)
            print(*(table(rows) if rows else ["no results"]), sep="\n")
        elif arguments.request and not arguments.follow:
            print(*table(request_lines(aws, pattern, since=since)), sep="\n")
        else:
            with suppress(KeyboardInterrupt):  # Ctrl-C ends --follow
                for line in lines(aws, since=since, pattern=pattern, follow=arguments.follow):
                    print(line, flush=True)
    except aws.logs.exceptions.ResourceNotFoundException:
        raise NotReadyError(f"no log group {stage.app_log_group}: run `make deploy ENV={stage.name}`") from None
    except HTTPError as error:  # of a stream, which botocore passes on
        raise ReleaseError("the connection to CloudWatch Logs was lost: run this again") from error


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=seconds, help="how far back to start (default: 10m; with --query 1h, with --request 1d)"
    )
    parser.add_argument("--follow", action="store_true", help="continue with new lines until Ctrl-C")
    what = parser.add_mutually_exclusive_group()
    queries = [name for name, query in WORKLOAD.queries.items() if PLACEHOLDER not in query]
    what.add_argument("--query", choices=queries, help="a saved query")
    what.add_argument("--request", type=request_pattern, help="ID from a response's X-Request-Id header")
    what.add_argument("--filter", default="", help="filter pattern of CloudWatch Logs, such as { $.status = 500 }")
