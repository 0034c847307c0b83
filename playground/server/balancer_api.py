"""The load balancer's API: targets registered, deregistered and described with their true health."""

import threading
import time
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import alb

from playground.server import proxy
from playground.server.balancer import NAMESPACE, attribute
from playground.server.metrics import METRICS
from playground.server.patching import Record, patch
from playground.server.targets import TARGETS, Health, Target

DEFAULT_DELAY = "300"  # AWS: deregistration_delay.timeout_seconds
LOOK_SECONDS = 0.05


def drain(targets: list[Target]) -> None:
    """Take targets out of service and wait until they hold no request, or for their group's deregistration delay."""
    for target in targets:
        TARGETS.deregister(target)
    for target in targets:
        attributes = alb._tg_attrs.get(target.group, [])
        deadline = time.monotonic() + float(
            attribute(attributes, "deregistration_delay.timeout_seconds", DEFAULT_DELAY)
        )
        while target.in_flight and not target.dead and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        TARGETS.forget(target)
        proxy.discard((target.ip, target.port))


def _named(parameters: Record) -> tuple[Record | None, list[tuple[str, int]]]:
    group = alb._tgs.get(alb._p(parameters, "TargetGroupArn"))
    return group, [
        (entry["Id"], int(entry.get("Port") or (group or {}).get("Port", 80)))
        for entry in alb._parse_targets_param(parameters)
    ]


def _not_found(parameters: Record) -> Any:
    return alb._error("TargetGroupNotFound", f"Target group '{alb._p(parameters, 'TargetGroupArn')}' not found.")


@patch(alb._ACTION_MAP, "RegisterTargets", gap="a registered target gets no health check")
def register_targets(parameters: Record) -> Any:
    group, named = _named(parameters)
    if group is None:
        return _not_found(parameters)
    for ip, port in named:
        TARGETS.register(group["TargetGroupArn"], ip, port)
    return alb._empty("RegisterTargets")


@patch(alb._ACTION_MAP, "DeregisterTargets", gap="a deregistered target does not drain")
def deregister_targets(parameters: Record) -> Any:
    group, named = _named(parameters)
    if group is None:
        return _not_found(parameters)
    leaving = [target for target in TARGETS.of(group["TargetGroupArn"]) if (target.ip, target.port) in named]
    for target in leaving:
        TARGETS.deregister(target)
    threading.Thread(target=drain, args=(leaving,), daemon=True, name="drain").start()
    return alb._empty("DeregisterTargets")


@patch(alb._ACTION_MAP, "DescribeTargetHealth", gap="every target is described as healthy")
def describe_target_health(parameters: Record) -> Any:
    group, named = _named(parameters)
    if group is None:
        return _not_found(parameters)
    described = "".join(
        f"<member><Target><Id>{target.ip}</Id><Port>{target.port}</Port></Target>"
        f"<HealthCheckPort>{target.port}</HealthCheckPort>"
        f"<TargetHealth><State>{target.health.value}</State>"
        + (f"<Reason>{target.reason}</Reason>" if target.reason else "")
        + (f"<Description>{escape(target.description)}</Description>" if target.description else "")
        + "</TargetHealth></member>"
        for target in TARGETS.of(group["TargetGroupArn"])
        if not named or (target.ip, target.port) in named
    )
    inner = f"<TargetHealthDescriptions>{described}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", inner)


def measure_hosts() -> None:
    """HealthyHostCount and UnHealthyHostCount of every target group."""
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
