"""Health checks of the load balancer's targets, and their metrics."""

import asyncio

import httpx
from ministack.services import alb

from playground.server.cloudwatch import METRICS
from playground.server.load_balancer import NAMESPACE, NO_TLS, close_clients
from playground.server.patching import Record, aws_scope
from playground.server.targets import TARGETS, Health, Target

NEW_TARGETS_SECONDS = 0.1
INITIAL_SECONDS = 1.0
"""Interval between checks of a new target. AWS: each load balancer node checks it on a separate schedule, so a new
target also becomes healthy in less than one interval."""


async def check_forever() -> None:
    """Check every target until it drains, then close its connections; runs in the load balancer's event loop."""
    checkers: dict[Target, asyncio.Task[None]] = {}
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, trust_env=False, verify=NO_TLS) as client:
        while True:
            registered = TARGETS.all()
            checkers = {target: checker for target, checker in checkers.items() if not checker.done()}
            for target in registered:
                if target not in checkers and target.health is not Health.DRAINING:
                    checkers[target] = asyncio.create_task(check(target, client))
            await close_clients(except_for=registered)
            await asyncio.sleep(NEW_TARGETS_SECONDS)


async def check(target: Target, client: httpx.AsyncClient) -> None:
    """Run health checks on a target until it starts draining."""
    while target.health is not Health.DRAINING:
        with aws_scope():
            group: Record | None = alb._tgs.get(target.group)
        if group is None:
            TARGETS.forget(target)
            return
        failure = await probe(target, group, client)
        target.record_check(
            failure,
            healthy_threshold=group["HealthyThresholdCount"],
            unhealthy_threshold=group["UnhealthyThresholdCount"],
        )
        interval = float(group["HealthCheckIntervalSeconds"])
        await asyncio.sleep(min(interval, INITIAL_SECONDS) if target.health is Health.INITIAL else interval)


async def probe(target: Target, group: Record, client: httpx.AsyncClient) -> tuple[str, str] | None:
    """Run one health check; returns None if it passes, otherwise AWS's reason code and description."""
    port = group.get("HealthCheckPort", "traffic-port")
    address = f"{target.ip}:{target.port if port == 'traffic-port' else port}"
    url, headers = f"http://{address}{group.get('HealthCheckPath') or '/'}", {"User-Agent": "ELB-HealthChecker/2.0"}
    try:
        async with asyncio.timeout(group["HealthCheckTimeoutSeconds"]):
            response = await client.get(url, headers=headers, timeout=None)
    except TimeoutError:
        return "Target.Timeout", "Request timed out"
    except httpx.TransportError:
        return "Target.FailedHealthChecks", "Health checks failed"
    if matches(response.status_code, group.get("Matcher") or {}):
        return None
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{response.status_code}]"


def matches(status: int, matcher: Record) -> bool:
    """Whether a status matches. AWS: a matcher lists codes and ranges, such as 200,204 or 200-299."""
    for part in str(matcher.get("HttpCode", "200")).split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def measure_hosts() -> None:
    """Record HealthyHostCount and UnHealthyHostCount of every target group."""
    for group in alb._tgs.values():
        listeners = [entry for entry in alb._listeners.values() if group["TargetGroupArn"] in str(entry)]
        if not listeners:
            continue
        registered = TARGETS.of(group["TargetGroupArn"])
        dimensions = (
            ("TargetGroup", group["TargetGroupArn"].rsplit(":", 1)[-1]),
            ("LoadBalancer", listeners[0]["LoadBalancerArn"].split("loadbalancer/", 1)[1]),
        )
        for name, health in (("HealthyHostCount", Health.HEALTHY), ("UnHealthyHostCount", Health.UNHEALTHY)):
            METRICS.observe(NAMESPACE, name, dimensions, sum(target.health is health for target in registered))
