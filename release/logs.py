"""Reads a stage's log: `python -m release.logs STAGE [--query NAME | --request ID] [--follow]`."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from infra.queries import QUERIES
from infra.stages import stage_named
from release.aws import Aws
from release.command import run_command
from release.errors import NotReadyError
from release.insights import Row, checked_id, run_query, saved, table

POLL_SECONDS = 2.0
OVERLAP_MS = 10_000
"""How far each look goes back again: lines of two tasks arrive out of order."""
_TEN_MINUTES, _HOUR, _DAY = 600, 3600, 86400
_METRICS = re.compile(r',"_aws":\{.*\}(?=\}$)')
"""What a line carries for CloudWatch's metrics; people have no use for it."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """Parse a span such as 90s, 10m, 2h or 1d."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time: write 90s, 10m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def lines(aws: Aws, *, since: int, pattern: str, follow: bool) -> Iterator[str]:
    """Yield log lines from `since` seconds ago on, each once; for ever if following."""
    start = int((time.time() - since) * 1000)
    seen: dict[str, int] = {}
    while True:
        pages = aws.logs.get_paginator("filter_log_events").paginate(
            logGroupName=aws.stage.app_log_group, startTime=start, filterPattern=pattern
        )
        try:
            for page in pages:
                for event in page["events"]:
                    if event["eventId"] not in seen:
                        seen[event["eventId"]] = event["timestamp"]
                        yield _METRICS.sub("", event["message"].rstrip())
        except aws.logs.exceptions.ResourceNotFoundException:
            raise _no_log(aws) from None
        if not follow:
            return
        start = max([start, *(at - OVERLAP_MS for at in seen.values())])
        seen = {event: at for event, at in seen.items() if at >= start}
        time.sleep(POLL_SECONDS)


def show(arguments: argparse.Namespace) -> None:
    """Print what was asked for: a query's table, or the lines themselves, of one request or all."""
    aws = Aws.of(stage_named(arguments.stage))
    if arguments.follow and arguments.query:
        raise NotReadyError("a query has an end and cannot follow: leave out --follow (FOLLOW=1) or --query (QUERY=…)")
    if arguments.query:
        query = saved(arguments.query)
        rows = _in(aws, lambda: run_query(aws, query, since=arguments.since or _HOUR))
        print(*(table(rows) if rows else ["nothing found"]), sep="\n")
        return
    pattern = f'{{ $.request_id = "{checked_id(arguments.request)}" }}' if arguments.request else arguments.filter
    since = arguments.since or (_DAY if arguments.request else _TEN_MINUTES)
    with suppress(KeyboardInterrupt):  # the way to end it
        for line in lines(aws, since=since, pattern=pattern, follow=arguments.follow):
            print(line, flush=True)


def _in(aws: Aws, ask: Callable[[], list[Row]]) -> list[Row]:
    """Ask a log group that may not be there yet."""
    try:
        return ask()
    except aws.logs.exceptions.ResourceNotFoundException:
        raise _no_log(aws) from None


def _no_log(aws: Aws) -> NotReadyError:
    return NotReadyError(f"no log group {aws.stage.app_log_group}: run `make deploy ENV={aws.stage.name}`")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.logs", description="Read a stage's log.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    parser.add_argument(
        "--since", type=seconds, help="how far back to begin (default: 10m; with --query 1h, with --request 1d)"
    )
    parser.add_argument("--follow", action="store_true", help="go on with new lines until Ctrl-C")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--query", help=f"a saved query: {', '.join(QUERIES)}")
    what.add_argument("--request", help="the id of a request, from its answer's X-Request-Id header")
    what.add_argument("--filter", default="", help="a pattern of CloudWatch Logs, such as { $.status = 500 }")
    arguments = parser.parse_args()
    run_command("logs", lambda: show(arguments))


if __name__ == "__main__":
    main()
