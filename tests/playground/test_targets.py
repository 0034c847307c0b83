"""The load balancer's targets: when they receive requests, when they fail, and how they are removed."""

import pytest

from playground.server.targets import Health, Target, Targets

GROUP = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/api/1"
BAD = ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")


@pytest.fixture
def targets() -> Targets:
    return Targets()


def check(target: Target, *outcomes: bool) -> Health:
    for good in outcomes:
        target.record_check(None if good else BAD, healthy_threshold=2, unhealthy_threshold=3)
    return target.health


def taken(targets: Targets, number: int, *, least_outstanding: bool = False) -> list[Target | None]:
    return [targets.take(GROUP, least_outstanding=least_outstanding) for _ in range(number)]


def test_a_new_target_takes_requests_after_its_first_good_check(targets: Targets) -> None:
    target = targets.register(GROUP, "10.0.0.1", 8000)
    assert taken(targets, 1) == [None]
    check(target, False, True)
    assert taken(targets, 1) == [target]


def test_a_healthy_target_survives_fewer_bad_checks_than_the_threshold(targets: Targets) -> None:
    target = targets.register(GROUP, "10.0.0.1", 8000)
    assert check(target, True, False, False) is Health.HEALTHY
    assert check(target, True, False, False) is Health.HEALTHY
    assert check(target, False) is Health.UNHEALTHY
    assert (target.reason, target.description) == BAD


def test_an_unhealthy_target_returns_after_the_threshold_of_good_checks(targets: Targets) -> None:
    target = targets.register(GROUP, "10.0.0.1", 8000)
    check(target, False, False, False)
    assert check(target, True) is Health.UNHEALTHY
    assert check(target, True) is Health.HEALTHY


def test_round_robin_uses_only_healthy_targets(targets: Targets) -> None:
    first, second, sick = (targets.register(GROUP, f"10.0.0.{number}", 8000) for number in (1, 2, 3))
    check(first, True)
    check(second, True)
    check(sick, True, False, False, False)
    assert sorted(id(target) for target in taken(targets, 4)) == sorted([id(first), id(second)] * 2)


def test_a_group_with_only_unhealthy_targets_fails_open(targets: Targets) -> None:
    target = targets.register(GROUP, "10.0.0.1", 8000)
    check(target, False, False, False)
    assert taken(targets, 1) == [target]


def test_least_outstanding_requests_spares_the_busy(targets: Targets) -> None:
    busy, idle = (targets.register(GROUP, f"10.0.0.{number}", 8000) for number in (1, 2))
    check(busy, True)
    check(idle, True)
    busy.in_flight = 5
    assert taken(targets, 3, least_outstanding=True) == [idle] * 3


def test_a_draining_target_finishes_its_requests_and_gets_no_new_ones(targets: Targets) -> None:
    target = targets.register(GROUP, "10.0.0.1", 8000)
    check(target, True)
    taken(targets, 2)
    targets.deregister(target)
    assert taken(targets, 1) == [None]
    targets.release(target)
    assert target.in_flight == 1
    assert check(target, True) is Health.DRAINING


def test_an_address_that_comes_back_is_a_new_target(targets: Targets) -> None:
    before = targets.register(GROUP, "10.0.0.1", 8000)
    check(before, True)
    targets.deregister(before)
    after = targets.register(GROUP, "10.0.0.1", 8000)
    targets.forget(before)
    assert after.health is Health.INITIAL
    assert targets.of(GROUP) == [after]
