"""The load balancer's health checks: one clock per target, the group's own path, interval and thresholds."""

import asyncio

import h11
from ministack.services import alb

from playground.server.patching import Record, aws_scope
from playground.server.targets import TARGETS, Health, Target

LOOK_FOR_NEW_SECONDS = 0.1
INITIAL_SECONDS = 1.0
"""Pause between the checks of a new target: a balancer's nodes each check it on a clock of their own, so that on AWS
too a new target waits less than one interval."""


async def check_forever() -> None:
    """Start a checker for every target that appears; runs in the balancer's loop."""
    checkers: dict[Target, asyncio.Task[None]] = {}
    while True:
        checkers = {target: checker for target, checker in checkers.items() if not checker.done()}
        for target in TARGETS.all():
            if target not in checkers and target.health is not Health.DRAINING:
                checkers[target] = asyncio.create_task(check(target))
        await asyncio.sleep(LOOK_FOR_NEW_SECONDS)


async def check(target: Target) -> None:
    """Check one target until it drains."""
    while target.health is not Health.DRAINING:
        with aws_scope():
            group: Record | None = alb._tgs.get(target.group)
        if group is None:
            TARGETS.forget(target)
            return
        failure = await probe(target, group)
        target.record_check(
            failure,
            healthy_threshold=group["HealthyThresholdCount"],
            unhealthy_threshold=group["UnhealthyThresholdCount"],
        )
        interval = float(group["HealthCheckIntervalSeconds"])
        await asyncio.sleep(min(interval, INITIAL_SECONDS) if target.health is Health.INITIAL else interval)


async def probe(target: Target, group: Record) -> tuple[str, str] | None:
    """None if the target answers as its group wants, else AWS's reason and description."""
    port = group.get("HealthCheckPort", "traffic-port")
    address = target.ip, target.port if port == "traffic-port" else int(port)
    try:
        async with asyncio.timeout(group["HealthCheckTimeoutSeconds"]):
            status = await status_of(*address, path=group.get("HealthCheckPath") or "/")
    except TimeoutError:
        return "Target.Timeout", "Request timed out"
    except (OSError, h11.ProtocolError):
        return "Target.FailedHealthChecks", "Health checks failed"
    if matches(status, group.get("Matcher") or {}):
        return None
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"


async def status_of(ip: str, port: int, *, path: str) -> int:
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [("Host", f"{ip}:{port}"), ("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0")]
        writer.write(connection.send(h11.Request(method="GET", target=path, headers=headers)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                return int(event.status_code)
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("closed without an answer")
    finally:
        writer.close()


def matches(status: int, matcher: Record) -> bool:
    """AWS: a matcher lists codes and ranges, as in 200,204 or 200-299."""
    for part in str(matcher.get("HttpCode", "200")).split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False
