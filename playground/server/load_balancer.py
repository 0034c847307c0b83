"""The Application Load Balancer: a port on this machine, health checks, draining, its API and its metrics."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import h11
from ministack.core.responses import StreamingResponse
from ministack.services import alb

from playground.server import proxy
from playground.server.cloudwatch import METRICS, Dimensions
from playground.server.patching import Record, aws_scope, patch
from playground.server.targets import TARGETS, Health, Target

Send = Callable[[Record], Awaitable[None]]
Receive = Callable[[], Awaitable[Record]]
Answer = tuple[int, MutableMapping[str, Any], Any]

NAMESPACE = "AWS/ApplicationELB"
LISTENER_PORT = 80
SERVER_ERROR = 500

_load_balancer: ContextVar[str] = ContextVar("load_balancer")


@patch(alb, "_target_group_full_name_from_arn", gap="TargetGroupFullName lacks targetgroup/: no metric has that name")
def target_group_full_name(arn: str) -> str:
    """The dimension of the group's metrics, and the end of the label by which request counts scale a service."""
    return arn.rsplit(":", 1)[-1]


def attribute(attributes: list[Record], key: str, default: str) -> str:
    return next((str(entry["Value"]) for entry in attributes if entry["Key"] == key), default)


def own_answer(status: int, text: str) -> Answer:
    """AWS: the balancer's own errors are HTML."""
    title = f"{status} {text}"
    body = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return status, {"Content-Type": "text/html", "Server": "awselb/2.0"}, body.encode()


def dimensions(group: str | None = None) -> Dimensions:
    load_balancer = ("LoadBalancer", _load_balancer.get("none"))
    if group is None:
        return (load_balancer,)
    return (("TargetGroup", group.rsplit(":", 1)[-1]), load_balancer)


stock_forward_to_tg = alb._forward_to_tg


@patch(alb, "_forward_to_tg", gap="every registered target counts as healthy, a dead one is chosen like any other")
async def forward_to_tg(  # noqa: PLR0917 - MiniStack calls it like this
    tg_arn: str,
    method: str,
    path: str,
    headers: Record,
    body: bytes | str | None,
    query_params: Record,
    raw_query_string: str | None = None,
    raw_path: str | None = None,
) -> Answer:
    group = alb._tgs.get(tg_arn)
    if group is None or group["TargetType"] == "lambda":
        lambda_answer: Answer = await stock_forward_to_tg(
            tg_arn, method, path, headers, body, query_params, raw_query_string, raw_path
        )
        return lambda_answer
    attributes = alb._tg_attrs.get(tg_arn, [])
    least = attribute(attributes, "load_balancing.algorithm.type", "round_robin") == "least_outstanding_requests"
    target_path = (raw_path or path) + (f"?{raw_query_string}" if raw_query_string else "")
    payload = body.encode() if isinstance(body, str) else body or b""
    unreachable: list[Target] = []
    while target := TARGETS.take(tg_arn, least_outstanding=least, without=unreachable):
        try:
            return await exchange(target, method, target_path, list(headers.items()), payload)
        except proxy.NotConnected:
            unreachable.append(target)
            METRICS.count(NAMESPACE, "TargetConnectionErrorCount", dimensions())
    return own_answer(502, "Bad Gateway") if unreachable else own_answer(503, "Service Temporarily Unavailable")


async def exchange(target: Target, method: str, path: str, headers: proxy.Headers, body: bytes) -> Answer:
    """One request to one target; the request counts on it until the last byte of the answer has left."""
    address = (target.ip, target.port)
    started = time.monotonic()
    with contextlib.ExitStack() as held:
        held.callback(TARGETS.give_back, target)
        connection = await proxy.connect(address, idle_timeout=idle_timeout())
        held.callback(connection.close)
        try:
            response = await connection.exchange(method, path, headers, body)
        except proxy.NoAnswer:
            return own_answer(502, "Bad Gateway")
        except proxy.TooSlow:
            return own_answer(504, "Gateway Time-out")
        METRICS.observe(NAMESPACE, "TargetResponseTime", dimensions(), time.monotonic() - started)
        METRICS.count(NAMESPACE, f"HTTPCode_Target_{response.status_code // 100}XX_Count", dimensions())
        METRICS.count(
            NAMESPACE, "RequestCountPerTarget", dimensions(target.group)[:1], 1 / TARGETS.serving(target.group)
        )
        streaming = held.pop_all()

    async def stream(send: Send, _receive: Receive) -> None:
        with streaming:
            async for piece in connection.body():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            streaming.pop_all()
            proxy.release(address, connection)
        TARGETS.give_back(target)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return response.status_code, proxy.response_headers(response), StreamingResponse(stream)


def idle_timeout() -> float:
    """AWS: the balancer's idle timeout holds for both of its sides."""
    chosen = _load_balancer.get("none")
    attributes: list[Record] = next((alb._lb_attrs.get(arn, []) for arn in alb._lbs if arn.endswith(chosen)), [])
    return float(attribute(attributes, "idle_timeout.timeout_seconds", "60"))


async def serve(scope: Record, receive: Receive, send: Send) -> None:
    """The ASGI application of the balancer's own port: the stack's load balancer, as its listener's rules say."""
    if scope["type"] != "http":
        return
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    with aws_scope():
        status, headers, body = await answer(scope, b"".join(parts))
        METRICS.count(NAMESPACE, "RequestCount", dimensions())
        if not isinstance(body, StreamingResponse) and status >= SERVER_ERROR:
            METRICS.count(NAMESPACE, "HTTPCode_ELB_5XX_Count", dimensions())
            METRICS.count(NAMESPACE, f"HTTPCode_ELB_{status}_Count", dimensions())
        await send({"type": "http.response.start", "status": status, "headers": encoded(headers)})
        if isinstance(body, StreamingResponse):
            await body.runner(send, receive)
        else:
            await send({"type": "http.response.body", "body": body})


async def answer(scope: Record, body: bytes) -> Answer:
    load_balancers = sorted(alb._lbs.values(), key=lambda entry: str(entry["CreatedTime"]))
    if not load_balancers:
        return own_answer(503, "No load balancer yet: deploy the service")
    load_balancer = load_balancers[0]
    _load_balancer.set(load_balancer["LoadBalancerArn"].split("loadbalancer/", 1)[1])
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joint = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    raw_query = scope["query_string"].decode("latin-1")
    dispatched: Answer = await alb.dispatch_request(
        load_balancer,
        scope["method"],
        scope["path"],
        headers,
        body,
        parse_qs(raw_query, keep_blank_values=True),
        LISTENER_PORT,
        client_ip=scope["client"][0],
        raw_query_string=raw_query,
        raw_path=scope.get("raw_path", scope["path"].encode()).split(b"?")[0].decode("latin-1"),
    )
    return dispatched


def encoded(headers: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), str(value).encode("latin-1"))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


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
def register_targets(params: Record) -> Any:
    group, named = _named(params)
    if group is None:
        return _not_found(params)
    for ip, port in named:
        TARGETS.register(group["TargetGroupArn"], ip, port)
    return alb._empty("RegisterTargets")


@patch(alb._ACTION_MAP, "DeregisterTargets", gap="a deregistered target does not drain")
def deregister_targets(params: Record) -> Any:
    group, named = _named(params)
    if group is None:
        return _not_found(params)
    leaving = [target for target in TARGETS.of(group["TargetGroupArn"]) if (target.ip, target.port) in named]
    for target in leaving:
        TARGETS.deregister(target)
    threading.Thread(target=drain, args=(leaving,), daemon=True, name="drain").start()
    return alb._empty("DeregisterTargets")


@patch(alb._ACTION_MAP, "DescribeTargetHealth", gap="every target is described as healthy")
def describe_target_health(params: Record) -> Any:
    group, named = _named(params)
    if group is None:
        return _not_found(params)
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
