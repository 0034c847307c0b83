"""Follows the application's log of a stage: `python -m infra.release.logs STAGE [--since 10m] [--filter PATTERN]`."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from contextlib import suppress

from infra.release.aws import Aws
from infra.release.command import run_command
from infra.release.errors import NotReadyError
from infra.stages import stage_named

POLL_SECONDS = 2.0
OVERLAP_MS = 10_000
"""How far each look goes back again: lines of two tasks arrive out of order."""
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
                        yield event["message"].rstrip()
        except aws.logs.exceptions.ResourceNotFoundException:
            raise NotReadyError(
                f"no log group {aws.stage.app_log_group}: run `make deploy ENV={aws.stage.name}`"
            ) from None
        if not follow:
            return
        start = max([start, *(at - OVERLAP_MS for at in seen.values())])
        seen = {event: at for event, at in seen.items() if at >= start}
        time.sleep(POLL_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.release.logs", description="Follow a stage's log.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    parser.add_argument("--since", type=seconds, default="10m", help="how far back to begin (default: 10m)")
    parser.add_argument("--filter", default="", help="a pattern of CloudWatch Logs, such as { $.status = 500 }")
    parser.add_argument("--no-follow", action="store_true", help="end with the last line")
    arguments = parser.parse_args()

    def show() -> None:
        aws = Aws.of(stage_named(arguments.stage))
        with suppress(KeyboardInterrupt):  # the way to end it
            for line in lines(aws, since=arguments.since, pattern=arguments.filter, follow=not arguments.no_follow):
                print(line, flush=True)

    run_command("logs", show)


if __name__ == "__main__":
    main()
