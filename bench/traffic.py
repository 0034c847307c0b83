"""The rows that are measured by asking servers: how much they answer, how fast, and the memory that it takes."""

import math
from contextlib import ExitStack
from dataclasses import dataclass

from bench import engine, isso
from bench.data import PAGE
from bench.machine import pss_megabytes
from bench.programs import PAGE_FILE, gets, original, path_of, posts, service_on_sqlite, settle, yardstick
from bench.report import Report
from bench.rounds import Load, Samples, most, ratio, steady
from bench.scale import Scale
from bench.server import Server, serving

YARDSTICK = "yardstick: GET"
GET, POST = "service: GET, SQLite", "service: POST, SQLite"
GET_SMALL, GET_DYNAMODB = "service: GET, SQLite with 20 stored", "service: GET, DynamoDB"
ISSO_GET, ISSO_POST = "Isso: GET", "Isso: POST"
ORIGINAL_GET, ORIGINAL_POST = "original's design: GET", "original's design: POST"
HALF = 0.5


@dataclass(frozen=True)
class Servers:
    """All that run at the same time, idle until it is their turn."""

    yardstick: Server
    large: Server
    loads: list[Load]
    dynamodb: Server | None


def measure(report: Report, scale: Scale) -> None:
    """Start all servers, then go through every question for them."""
    with ExitStack() as stack:
        servers = _start(stack, report, scale)
        found = _most(servers, report, scale)
        _half_load(servers, found, report, scale)
        _curve(servers, found, report, scale)
        _memory(servers, report)
    _stored(report, scale)


def _start(stack: ExitStack, report: Report, scale: Scale) -> Servers:
    large = stack.enter_context(serving(service_on_sqlite(scale.stored)))
    small = stack.enter_context(serving(service_on_sqlite(PAGE)))
    PAGE_FILE.write_bytes(large.page(path_of(1)))
    yard = stack.enter_context(serving(yardstick()))
    old = stack.enter_context(serving(original()))
    settle(old)
    loads = [
        Load(YARDSTICK, yard, gets(scale.stored)),
        Load(GET, large, gets(scale.stored)),
        Load(GET_SMALL, small, gets(PAGE)),
        Load(POST, large, posts()),
        Load(ORIGINAL_GET, old, gets(PAGE)),
        Load(ORIGINAL_POST, old, posts()),
    ]
    loads += _isso(stack, report, scale)
    return Servers(yard, large, loads, _dynamodb(stack, report, loads))


def _dynamodb(stack: ExitStack, report: Report, loads: list[Load]) -> Server | None:
    if reason := engine.missing():
        report.skipped(reason, "dynamodb", "memory_dynamodb")
        return None
    server = stack.enter_context(serving(stack.enter_context(engine.service_on_dynamodb())))
    loads.append(Load(GET_DYNAMODB, server, gets(engine.STORED)))
    return server


def _isso(stack: ExitStack, report: Report, scale: Scale) -> list[Load]:
    reason = isso.install() if scale.downloads else ""
    if reason or not isso.installed():
        report.skipped(reason or "Isso is not installed: a whole run installs it", "get_isso", "post_isso")
        return []
    program, modes = isso.better_mode(scale.seconds * 2)
    report.details["isso_modes"] = modes
    server = stack.enter_context(serving(program))
    isso.settle(server)
    report.remarks["isso"] = program.name
    return [Load(ISSO_GET, server, isso.gets()), Load(ISSO_POST, server, isso.posts())]


def _most(servers: Servers, report: Report, scale: Scale) -> dict[str, Samples]:
    found = most(servers.loads, rounds=scale.rounds, seconds=scale.seconds, what="at the most")
    base = found[YARDSTICK].rate
    report.details["most"] = {
        name: samples.medians() | {"of_yardstick": ratio(samples.rate, base)} for name, samples in found.items()
    }

    def rates(key: str, over: str, under: str, remark: str = "") -> None:
        if over in found and under in found:
            report.measured(key, ratio(found[over].rate, found[under].rate), remark)

    def cpu(over: str) -> float:
        return ratio(found[YARDSTICK].cpu, found[over].cpu)

    rates("get", GET, YARDSTICK, f"by CPU time {cpu(GET):.2f}")
    rates("get_stored", GET, GET_SMALL)
    rates("post", POST, YARDSTICK, f"by CPU time {cpu(POST):.2f}")
    rates("get_isso", GET, ISSO_GET, report.remarks.get("isso", ""))
    rates("post_isso", POST, ISSO_POST, report.remarks.get("isso", ""))
    if GET_DYNAMODB in found:
        report.measured("dynamodb", cpu(GET_DYNAMODB), "by CPU time; the engine is on the other core")
    return found


def _half_load(servers: Servers, found: dict[str, Samples], report: Report, scale: Scale) -> None:
    asked = [load for load in servers.loads if load.name in {YARDSTICK, GET, POST}]
    rates = {load.name: HALF * _median_rate(found[load.name]) for load in asked}
    times = steady(asked, rates, rounds=scale.steady_rounds, seconds=scale.steady_seconds, what="at half load")
    report.details["half_load"] = {name: samples.medians() for name, samples in times.items()}
    for key, name in (("get_p99", GET), ("post_p99", POST)):
        late = _median([*times[name].late, *times[YARDSTICK].late])
        remark = f"{_median(times[name].p99):.1f} against {_median(times[YARDSTICK].p99):.1f} ms"
        remark += f", of which the load generator itself was late by {late:.1f} ms"
        report.measured(key, ratio(times[name].p99, times[YARDSTICK].p99), remark)


def _curve(servers: Servers, found: dict[str, Samples], report: Report, scale: Scale) -> None:
    """Answer times and answers against what is offered, the same rates for all."""
    asked = [load for load in servers.loads if load.name in {YARDSTICK, GET, POST}]
    points: dict[str, list[dict[str, float]]] = {load.name: [] for load in asked}
    for part in scale.loads:
        rate = part * _median_rate(found[YARDSTICK])
        rates = {load.name: rate for load in asked}
        times = steady(asked, rates, rounds=1, seconds=scale.curve_seconds, what=f"at {rate:,.0f} a second")
        for name, samples in times.items():
            points[name].append({"offered": rate} | samples.medians())
    report.details["curve"] = points


def _memory(servers: Servers, report: Report) -> None:
    for key, server in (("memory", servers.large), ("memory_dynamodb", servers.dynamodb)):
        used = pss_megabytes(server.pid) if server else math.nan
        if used is None:
            report.skipped("only Linux tells how much memory is shared", key)
        elif server:
            report.measured(key, used)


def _stored(report: Report, scale: Scale) -> None:
    """The rate of lists of 20 against how many comments are stored."""
    with ExitStack() as stack:
        sizes = (PAGE, *scale.sizes, scale.stored)
        servers = {size: stack.enter_context(serving(service_on_sqlite(size))) for size in sizes}
        loads = [Load(str(size), server, gets(size)) for size, server in servers.items()]
        found = most(loads, rounds=max(1, scale.rounds // 2), seconds=scale.seconds, what="by what is stored")
    report.details["stored"] = [{"stored": float(name)} | samples.medians() for name, samples in found.items()]


def _median_rate(samples: Samples) -> float:
    return samples.medians()["rate"]


def _median(values: list[float]) -> float:
    return Samples(rate=[0.0], p99=values).medians()["p99"]
