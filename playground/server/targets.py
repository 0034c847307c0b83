"""The load balancer's targets: who is registered where, in what state of health, holding how many requests."""

import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Health(Enum):
    """AWS: the states of TargetHealth."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


@dataclass(eq=False)
class Target:
    """One address in one target group."""

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
    registered_at: float = field(default_factory=time.monotonic)

    def settle(self, health: Health, reason: str = "", description: str = "") -> None:
        if self.health is not Health.DRAINING:
            self.health, self.reason, self.description = health, reason, description

    def record_check(
        self, failure: tuple[str, str] | None, *, healthy_threshold: int, unhealthy_threshold: int
    ) -> None:
        """Count one health check; AWS: a new target is healthy after its first success, others by the thresholds."""
        if failure is None:
            self.passed, self.failed = self.passed + 1, 0
            if self.health is Health.INITIAL or self.passed >= healthy_threshold:
                self.settle(Health.HEALTHY)
            return
        self.passed, self.failed = 0, self.failed + 1
        if self.failed >= unhealthy_threshold:
            self.settle(Health.UNHEALTHY, *failure)
        elif self.health is Health.INITIAL:
            self.settle(Health.INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress")


class Targets:
    """Every target of the playground, shared by the service scheduler, the health checker and the proxy."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str, int], Target] = {}
        self._lock = threading.Lock()
        self._turn = itertools.count()

    def register(self, group: str, ip: str, port: int) -> Target:
        """The target with this address; one that is draining comes back as a new one."""
        with self._lock:
            target = self._targets.get((group, ip, port))
            if target is None or target.health is Health.DRAINING:
                target = self._targets[group, ip, port] = Target(group, ip, port)
            return target

    def deregister(self, target: Target) -> None:
        """Send it nothing new; `forget` removes it when it has drained."""
        with self._lock:
            target.settle(Health.DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress")

    def forget(self, target: Target) -> None:
        """Out of the group; a request it still holds fails on its own."""
        target.dead = True
        target.health = Health.DRAINING
        with self._lock:
            if self._targets.get((target.group, target.ip, target.port)) is target:
                del self._targets[target.group, target.ip, target.port]

    def forget_group(self, group: str) -> None:
        for target in self.of(group):
            self.forget(target)

    def of(self, group: str) -> list[Target]:
        with self._lock:
            return [target for target in self._targets.values() if target.group == group]

    def all(self) -> list[Target]:
        with self._lock:
            return list(self._targets.values())

    def serving(self, group: str) -> int:
        """How many targets share the group's requests; one at least."""
        return max(1, sum(target.health is Health.HEALTHY for target in self.of(group)))

    def take(self, group: str, *, least_outstanding: bool, without: Iterable[Target] = ()) -> Target | None:
        """Count a request on the next target; AWS: a group with only unhealthy targets fails open, to all of them."""
        with self._lock:
            registered = [t for t in self._targets.values() if t.group == group and t not in without]
            able = [target for target in registered if target.health is Health.HEALTHY]
            able = able or [target for target in registered if target.health is Health.UNHEALTHY]
            if not able:
                return None
            if least_outstanding:
                chosen = min(able, key=lambda target: target.in_flight)
            else:
                chosen = able[next(self._turn) % len(able)]
            chosen.in_flight += 1
            return chosen

    def give_back(self, target: Target) -> None:
        """The request that `take` counted has ended."""
        with self._lock:
            target.in_flight -= 1


TARGETS = Targets()
