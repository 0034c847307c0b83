"""The load balancer's targets: registration, health and requests in flight."""

import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Health(Enum):
    """AWS: values of TargetHealth.State."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


@dataclass(eq=False)
class Target:
    """An address registered with a target group."""

    group: str
    ip: str
    port: int
    health: Health = Health.INITIAL
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    passed: int = 0
    failed: int = 0
    in_flight: int = 0
    dead: bool = False

    def set_health(self, health: Health, reason: str = "", description: str = "") -> None:
        if self.health is not Health.DRAINING:
            self.health, self.reason, self.description = health, reason, description

    def record_check(
        self, failure: tuple[str, str] | None, *, healthy_threshold: int, unhealthy_threshold: int
    ) -> None:
        """Record a health check. AWS: a new target is healthy after one success; otherwise the thresholds apply."""
        if failure is None:
            self.passed, self.failed = self.passed + 1, 0
            if self.health is Health.INITIAL or self.passed >= healthy_threshold:
                self.set_health(Health.HEALTHY)
            return
        self.passed, self.failed = 0, self.failed + 1
        if self.failed >= unhealthy_threshold:
            self.set_health(Health.UNHEALTHY, *failure)
        elif self.health is Health.INITIAL:
            self.set_health(Health.INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress")


class Targets:
    """All targets of the playground, shared by the service scheduler, the health checker and the proxy."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str, int], Target] = {}
        self._lock = threading.Lock()
        self._turn = itertools.count()

    def register(self, group: str, ip: str, port: int) -> Target:
        """Return the target with this address; adds a new one if it isn't registered or is draining."""
        with self._lock:
            target = self._targets.get((group, ip, port))
            if target is None or target.health is Health.DRAINING:
                target = self._targets[group, ip, port] = Target(group, ip, port)
            return target

    def deregister(self, target: Target) -> None:
        """Stop sending new requests to a target; call `forget` to remove it after draining."""
        with self._lock:
            target.set_health(
                Health.DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress"
            )

    def forget(self, target: Target) -> None:
        """Remove a target from its group without waiting for requests in flight."""
        target.dead = True
        target.health = Health.DRAINING
        with self._lock:
            if self._targets.get((target.group, target.ip, target.port)) is target:
                del self._targets[target.group, target.ip, target.port]

    def of(self, group: str) -> list[Target]:
        with self._lock:
            return [target for target in self._targets.values() if target.group == group]

    def all(self) -> list[Target]:
        with self._lock:
            return list(self._targets.values())

    def serving(self, group: str) -> int:
        """Return the number of healthy targets in a group, at least 1."""
        return max(1, sum(target.health is Health.HEALTHY for target in self.of(group)))

    def take(self, group: str, *, without: Iterable[Target] = ()) -> Target | None:
        """Choose a target for a request. AWS: a group with only unhealthy targets fails open to all of them."""
        with self._lock:
            registered = [t for t in self._targets.values() if t.group == group and t not in without]
            candidates = [target for target in registered if target.health is Health.HEALTHY]
            candidates = candidates or [target for target in registered if target.health is Health.UNHEALTHY]
            if not candidates:
                return None
            chosen = candidates[next(self._turn) % len(candidates)]
            chosen.in_flight += 1
            return chosen

    def release(self, target: Target) -> None:
        """End a request that `take` assigned to this target."""
        with self._lock:
            target.in_flight -= 1


TARGETS = Targets()
