"""The load balancer's targets: when they receive requests, when they fail, and how they are removed."""

import pytest

from playground.server.targets import Health, Target, Targets

GROUP = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/api/1"
BAD = ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")


@pytest.fixture
def targets() -> Targets:
    return Targets()


def check(target: Target, outcomes: str) -> Target:
    """Record good (+) and bad (-) health checks."""
    for outcome in outcomes:
        target.record_check(None if outcome == "+" else BAD, healthy_threshold=2, unhealthy_threshold=3)
    return target


def register(targets: Targets, outcomes: str, ip: str = "10.0.0.1") -> Target:
    return check(targets.register(GROUP, ip, 8000), outcomes)


def taken(targets: Targets, number: int) -> list[Target | None]:
    return [targets.take(GROUP) for _ in range(number)]


@pytest.mark.parametrize(
    ("outcomes", "health"),
    [
        ("", Health.INITIAL),
        ("-", Health.INITIAL),
        ("-+", Health.HEALTHY),  # the first good check is enough for a new target
        ("+--+--", Health.HEALTHY),
        ("+--+---", Health.UNHEALTHY),
        ("---+", Health.UNHEALTHY),
        ("---++", Health.HEALTHY),
    ],
)
def test_health_changes_at_the_thresholds_and_only_new_targets_get_no_requests(
    targets: Targets, outcomes: str, health: Health
) -> None:
    """A group with only unhealthy targets fails open."""
    target = register(targets, outcomes)
    assert target.health is health
    assert (target.description == BAD[1]) == (health is Health.UNHEALTHY)
    assert taken(targets, 1) == [None if health is Health.INITIAL else target]


def test_a_draining_target_finishes_its_requests_and_gets_no_new_ones(targets: Targets) -> None:
    target = register(targets, "+")
    taken(targets, 2)
    targets.deregister(target)
    assert taken(targets, 1) == [None]
    targets.release(target)
    assert target.in_flight == 1
    assert check(target, "+").health is Health.DRAINING
