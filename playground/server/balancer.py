"""The application load balancer: healthy targets only, draining, a port of its own, and its metrics."""

import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs

from ministack.core.responses import StreamingResponse
from ministack.services import alb

from playground.server import proxy
from playground.server.metrics import METRICS, Dimensions
from playground.server.patching import Record, aws_scope, patch
from playground.server.targets import TARGETS, Target

Send = Callable[[Record], Awaitable[None]]
Receive = Callable[[], Awaitable[Record]]
Answer = tuple[int, MutableMapping[str, Any], Any]

NAMESPACE = "AWS/ApplicationELB"
LISTENER_PORT = 80
SERVER_ERROR = 500

_load_balancer: ContextVar[str] = ContextVar("load_balancer")


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
    group_arn: str,
    method: str,
    path: str,
    headers: Record,
    body: bytes | str | None,
    query: Record,
    raw_query: str | None = None,
    raw_path: str | None = None,
) -> Answer:
    group = alb._tgs.get(group_arn)
    if group is None or group["TargetType"] == "lambda":
        lambda_answer: Answer = await stock_forward_to_tg(
            group_arn, method, path, headers, body, query, raw_query, raw_path
        )
        return lambda_answer
    attributes = alb._tg_attrs.get(group_arn, [])
    least = attribute(attributes, "load_balancing.algorithm.type", "round_robin") == "least_outstanding_requests"
    target_path = (raw_path or path) + (f"?{raw_query}" if raw_query else "")
    payload = body.encode() if isinstance(body, str) else body or b""
    unreachable: list[Target] = []
    while target := TARGETS.take(group_arn, least_outstanding=least, without=unreachable):
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
