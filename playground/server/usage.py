"""ECS: CPU and memory of the running tasks, as CloudWatch shows them for a service."""

import time
from typing import Any

import docker.errors
from ministack.services import ecs

from playground.server.metrics import METRICS
from playground.server.patching import Record

CPU_UNITS = 1024
MEBIBYTE = 1024 * 1024

_before: dict[str, tuple[float, int]] = {}


def measure() -> None:
    """Record CPUUtilization and MemoryUtilization of every service with running tasks, in percent of its limits."""
    running: set[str] = set()
    for task in ecs._tasks.values():
        if task["lastStatus"] != "RUNNING" or not task["group"].startswith("service:"):
            continue
        dimensions = (
            ("ClusterName", ecs._cluster_name_from_arn(task["clusterArn"])),
            ("ServiceName", task["group"].partition(":")[2]),
        )
        for container_id in task["_docker_ids"]:
            running.add(container_id)
            if sample := sampled(container_id, task):
                METRICS.observe("AWS/ECS", "CPUUtilization", dimensions, sample[0])
                METRICS.observe("AWS/ECS", "MemoryUtilization", dimensions, sample[1])
    for gone in _before.keys() - running:
        del _before[gone]


def sampled(container_id: str, task: Record) -> tuple[float, float] | None:
    """CPU since the last sample and memory now; None for the first sample, and for a container that has gone."""
    client: Any = ecs._get_docker()
    try:
        stats = client.containers.get(container_id).stats(stream=False, one_shot=True)
        used = int(stats["cpu_stats"]["cpu_usage"]["total_usage"])
        memory = 100.0 * stats["memory_stats"]["usage"] / (int(task["memory"]) * MEBIBYTE)
    except (docker.errors.APIError, KeyError):
        return None
    now = time.monotonic()
    then, earlier = _before.get(container_id, (now, used))
    _before[container_id] = (now, used)
    if now == then:
        return None
    return 100.0 * (used - earlier) / 1e9 / (now - then) / (int(task["cpu"]) / CPU_UNITS), memory
