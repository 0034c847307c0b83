"""What users see of a spike: a simulation of target tracking, second by second."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.scaling.measured import LAUNCHES, LIST_CPU, SEEN_AFTER, VALUES_NEEDED
from bench.scaling.settings import Settings, Tracking

LENGTH = 3600
"""Seconds that are looked at; whoever is overloaded then stays so."""
RAMP = 300
"""Seconds in which a ramp reaches its height."""
QUIET = 0.30
"""Share of the least tasks' CPU that is in use before the spike."""

Load = Callable[[float], float]
"""Requests a second, by the seconds since the spike began."""


@dataclass(frozen=True)
class Outcome:
    """What came of a spike: how long more was asked than could be answered, and which share of an hour was refused."""

    overloaded: int
    refused: float
    tasks: int
    serving: tuple[int, ...]
    """Tasks that serve, by the second."""
    ends: bool
    """Whether enough tasks come at all."""


def quiet(settings: Settings) -> float:
    """Return the requests a second before the spike."""
    return QUIET * settings.least * capacity(settings)


def capacity(settings: Settings) -> float:
    """Return what a task answers a second at most."""
    return settings.vcpu / LIST_CPU


def step(base: float, times: float) -> Load:
    return lambda _: base * times


def ramp(base: float, times: float) -> Load:
    return lambda second: base * (1 + (times - 1) * min(1.0, second / RAMP))


@dataclass
class _Policy:
    """A policy with the values that it has been given."""

    tracking: Tracking
    values: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)

    @property
    def late(self) -> float:
        """Seconds until AWS acts on a value."""
        return SEEN_AFTER[self.tracking.every] - VALUES_NEEDED * self.tracking.every

    def observe(self, value: float) -> None:
        self.sums.append(value)
        if len(self.sums) == self.tracking.every:
            self.values.append(sum(self.sums) / len(self.sums))
            self.sums.clear()

    def ratio(self, second: int) -> float:
        """Return how many times the target is exceeded, as far as AWS knows in that second; 1 means not at all."""
        known = int((second + 1 - self.late) // self.tracking.every)
        last = self.values[max(0, known - VALUES_NEEDED) : known] if known > 0 else []
        if len(last) < VALUES_NEEDED or min(last) <= self.tracking.target:
            return 1.0
        return last[-1] / self.tracking.target


def simulate(settings: Settings, load: Load) -> Outcome:
    """Let the load begin when all is quiet and the least tasks run; none is taken away, which is slow on purpose."""
    policies = [_Policy(tracking) for tracking in settings.policies]
    starting: list[tuple[float, int]] = []
    wanted = serving = before = settings.least
    last_step = -math.inf
    asked = refused = requests = possible = 0.0
    overloaded = 0
    history = []
    for second in range(LENGTH):
        serving += sum(count for ready, count in starting if ready <= second)
        starting = [(ready, count) for ready, count in starting if ready > second]
        history.append(serving)
        requests, possible = load(second), serving * capacity(settings)
        asked += requests
        refused += max(0.0, requests - possible)
        overloaded += requests > possible
        for policy in policies:
            cpu = 100 * min(1.0, requests / possible)
            policy.observe(cpu if "CPU" in policy.tracking.metric else requests / serving * 60)
            # In the cooldown the last step counts as taken: only what goes beyond it is added.
            base = before if second < last_step + policy.tracking.cooldown else wanted
            want = min(settings.most, math.ceil(base * policy.ratio(second) - 1e-9))
            if want > wanted:
                if second >= last_step + policy.tracking.cooldown:
                    before = wanted
                slowest = (want - wanted) / LAUNCHES.value
                starting.append((second + settings.until_serving + slowest, want - wanted))
                wanted, last_step = want, second
    return Outcome(overloaded, refused / asked, wanted, tuple(history), ends=requests <= possible)
