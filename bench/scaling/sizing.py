"""How many requests a second each limit lets through, and what a plan for so many costs a month."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.scaling import measured
from bench.scaling.measured import Quota
from bench.scaling.settings import Settings, synthesized
from infra.cost.bill import Bill, bill
from infra.cost.prices import HOURS
from infra.cost.traffic import ANSWER_KB, LINE_KB, METRICS_KB, NEW_CONNECTIONS, POSTS, Traffic
from infra.options import Architecture
from infra.stages import Stage

SECONDS = HOURS * 3600
"""Of a month."""
CPU = (1 - POSTS) * measured.LIST_CPU + POSTS * measured.POST_CPU
"""Seconds of CPU of a request, as requests are mixed in the bill."""
SQLITE_CPU = (1 - POSTS) * measured.SQLITE_LIST_CPU + POSTS * measured.SQLITE_POST_CPU
READS = (1 - POSTS) * measured.PAGE_UNITS
WRITES = POSTS * measured.POST_UNITS
LINE_BYTES = (LINE_KB + METRICS_KB) * 1000


@dataclass(frozen=True)
class Limit:
    """What ends growth, at how many requests a second, and what is then done."""

    name: str
    rate: float
    then: str


def limits(settings: Settings, *, cpu_target: float) -> list[Limit]:
    """Return the limits of a stage as it is, the nearest first."""
    task = settings.vcpu * cpu_target / 100 / CPU
    spare = settings.addresses - measured.BALANCER_ADDRESSES
    found = [
        Limit(f"`max_tasks` of the stage: {settings.most}", settings.most * task, "raise it: nothing until it is used"),
        _of(measured.VCPUS, task / settings.vcpu, "ask for more, before the day"),
        Limit("all requests to one thread, a partition", 1 / _partitions(1.0), "a cache of a second before its list"),
        _of(measured.NEW_TABLE_READS, 1 / READS, "nothing within half an hour: it doubles; or warm throughput"),
        _of(measured.TABLE_READS, 1 / READS, "ask for more; eventually consistent lists halve it"),
        _of(
            measured.TABLE_WRITES, 1 / (POSTS * measured.POST_WITH_KEY_UNITS), "ask for more; every post has a key here"
        ),
        Limit(f"addresses of the subnets: {spare} tasks", spare * task, "tasks of a whole vCPU, or wider subnets"),
        _of(measured.TARGETS, task, "tasks of a whole vCPU"),
        _of(measured.SERVICE_TASKS, task, "tasks of a whole vCPU"),
        _of(measured.WEB_ACL, 1.0, "ask for more, or limit posts without it"),
        _of(measured.LOG_CALLS, task / measured.LOG_CALLS_OF_A_TASK, "larger tasks write larger batches"),
    ]
    return sorted(found, key=lambda limit: limit.rate)


def _of(quota: Quota, each: float, then: str) -> Limit:
    return Limit(f"{quota.name}: {quota.value:,.0f}", quota.value * each, then)


@dataclass(frozen=True)
class Plan:
    """A stage made for a rate, and what a month of that rate amounts to."""

    rate: float
    tasks: int
    vcpu: float
    units: float
    """LCU of the balancer: the most of connections and bytes."""
    reads: float
    writes: float
    partitions: int
    """That the table's reads and writes need, spread evenly."""
    log_megabytes: float
    """A second."""
    month: Bill


def plan(stage: Stage, rate: float) -> Plan:
    """Return what the stage needs for that rate, even all month, at its CPU target."""
    vcpu = stage.cpu / 1024
    tasks = max(stage.min_tasks, math.ceil(rate * CPU / (vcpu * stage.cpu_target / 100)))
    return Plan(
        rate=rate,
        tasks=tasks,
        vcpu=tasks * vcpu,
        units=max(rate * NEW_CONNECTIONS / 25, rate * (1 - POSTS) * ANSWER_KB * 3600 / 1e6),
        reads=rate * READS,
        writes=rate * WRITES,
        partitions=math.ceil(_partitions(rate)),
        log_megabytes=rate * LINE_BYTES / 1e6,
        month=bill(_with_tasks(synthesized(stage), tasks), Traffic(rate * SECONDS)),
    )


def _with_tasks(templates: Iterable[Mapping[str, Any]], tasks: int) -> Iterator[Mapping[str, Any]]:
    """Yield the templates with that many tasks at the least, which is what a bill counts."""
    for template in templates:
        changed = {
            name: {**found, "Properties": {**found["Properties"], "MinCapacity": tasks}}
            for name, found in template["Resources"].items()
            if found["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget"
        }
        yield {**template, "Resources": {**template["Resources"], **changed}}


def _partitions(rate: float) -> float:
    """Return how many partitions' worth of units that rate takes."""
    return rate * (READS / measured.PARTITION_READS.value + WRITES / measured.PARTITION_WRITES.value)


def savings(stage: Stage, rate: float) -> Iterator[tuple[str, float]]:
    """Yield what is changed at a high rate, in this order, and what a month costs from then on."""
    larger = replace(stage, cpu=1024, memory=2048, architecture=Architecture.ARM64)
    open_ = replace(larger, web_acl=False)
    yield "as it is", plan(stage, rate).month.total
    yield "tasks of a whole vCPU, on ARM", plan(larger, rate).month.total
    month = plan(open_, rate).month
    yield "without the web ACL, posts limited by the service", month.total
    lines = {line.label: line.dollars for line in month.lines}
    written = lines["logs: written"] + lines["logs: kept"]
    total = month.total - written * 0.99
    yield "a log line of every hundredth good request", total
    total -= lines["table: reads"] / 2
    yield "lists read eventually consistent", total
    total -= lines["answers to the internet"] * 0.7
    yield "answers compressed to three tenths", total
