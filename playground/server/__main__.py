"""Runs the playground's server: the AWS API, the load balancer and their background threads."""

import asyncio
import ipaddress
import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import Framework
from ministack import app as gateway
from ministack.core import hypercorn_compat
from ministack.services.cloudwatch import _evaluate_all_alarms

from playground.server import (
    autoscaling,
    cloudformation,
    cloudwatch,
    dynamodb,
    ecr,
    ecs_service,
    ecs_tasks,
    health_checks,
    load_balancer,
)
from playground.server.cloudwatch import METRICS
from playground.server.patching import PATCHES, SETTINGS, SUPPORTED, aws_scope

KEEP_ALIVE_SECONDS = 3600  # AWS: ALB client keep-alive duration
HTTPS = (b"x-forwarded-proto", b"https")

log = logging.getLogger("playground")


async def gateway_over_loopback(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Treat loopback requests as TLS, so that they satisfy policies that require aws:SecureTransport."""
    if scope["type"] == "http" and not any(name == HTTPS[0] for name, _ in scope["headers"]):
        scope = {**scope, "headers": [*scope["headers"], HTTPS]}
    await gateway.app(scope, receive, send)


def bridge_address() -> str:
    """Return the host's address on Docker's bridge network, where containers reach the AWS API."""
    inspected = subprocess.check_output(["docker", "network", "inspect", "bridge"], text=True)
    for entry in json.loads(inspected)[0]["IPAM"]["Config"]:
        # Docker may not report a gateway before the first container starts; it uses the first address of the subnet
        return str(entry.get("Gateway") or next(ipaddress.ip_network(entry["Subnet"]).hosts()))
    raise SystemExit("Docker's bridge network has no gateway address; is the daemon set up with --bridge=none?")


def configured(*addresses: str) -> Config:
    config = Config()
    config.bind = list(addresses)
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.loglevel = "WARNING"
    return config


def every(seconds: float, work: Callable[[], None]) -> None:
    """Run work periodically on a thread; exceptions are logged and don't stop the thread."""

    def repeat() -> None:
        while True:
            time.sleep(seconds)
            with aws_scope():
                try:
                    work()
                except Exception:  # one failure must not stop alarms or scaling permanently
                    log.exception("%s failed", work.__qualname__)

    threading.Thread(target=repeat, daemon=True, name=work.__qualname__).start()


def watch_alarms() -> None:
    METRICS.flush()
    _evaluate_all_alarms()


def run_load_balancer() -> None:
    """Serve the load balancer on a separate event loop, so that a busy API doesn't delay requests."""

    async def main() -> None:
        checks = asyncio.create_task(health_checks.check_forever())
        never = asyncio.Event()
        await serve(
            cast(Framework, load_balancer.serve),
            configured(f"127.0.0.1:{SETTINGS.load_balancer_port}"),
            shutdown_trigger=never.wait,
        )
        checks.cancel()

    asyncio.run(main())


def main() -> None:
    """Serve until SIGTERM; MiniStack removes its containers on shutdown."""
    if not gateway.AUTH:
        raise SystemExit("the playground checks every permission: start it with AUTH=true, as `up` does")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
    hypercorn_compat.install()
    dynamodb.start_engine()
    dynamodb.install()
    cloudwatch.install()
    ecr.install()
    cloudformation.install()
    log.info("ministack %s with %d patches", SUPPORTED, len(PATCHES))
    for target in (run_load_balancer, ecs_service.run_forever, ecs_tasks.watch_exits_forever):
        threading.Thread(target=target, daemon=True, name=target.__qualname__).start()
    every(1, watch_alarms)
    every(2, autoscaling.step)
    every(2, cloudwatch.measure_usage)  # at least once in each period of target tracking
    every(5, health_checks.measure_hosts)
    every(600, METRICS.forget_old)
    port = SETTINGS.gateway_port
    config = configured(f"127.0.0.1:{port}", f"{bridge_address()}:{port}")
    asyncio.run(serve(cast(Framework, gateway_over_loopback), config))


if __name__ == "__main__":
    main()
