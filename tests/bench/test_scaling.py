"""The working-out of docs/scaling.md: what the tables stand on, and that the document holds what the code says."""

from dataclasses import replace

import pytest

from bench.scaling.__main__ import DOCUMENT, PICTURE, filled
from bench.scaling.measured import SEEN_AFTER
from bench.scaling.picture import draw
from bench.scaling.report import blocks
from bench.scaling.settings import Settings, Tracking, read
from bench.scaling.spike import capacity, quiet, ramp, simulate, step
from infra.stages import STAGES

CPU = Tracking(metric="ECSServiceAverageCPUUtilization", target=60, every=20, cooldown=20)
SETTINGS = Settings(least=2, most=20, vcpu=0.25, policies=(CPU,), until_serving=30, addresses=500)


def test_the_document_and_its_picture_are_what_the_command_writes():
    text = DOCUMENT.read_text()
    assert filled(text, blocks()) == text, "run python -m bench.scaling --write"
    assert draw() == PICTURE.read_text(), "run python -m bench.scaling --write"


def test_the_settings_are_those_of_the_template():
    settings = read(STAGES["prod"])
    assert (settings.least, settings.most) == (STAGES["prod"].min_tasks, STAGES["prod"].max_tasks)
    assert {(policy.metric, policy.every) for policy in settings.policies} == {
        ("ECSServiceAverageCPUUtilization", 20),
        ("ALBRequestCountPerTarget", 60),
    }


def test_a_load_that_the_tasks_can_bear_changes_nothing():
    outcome = simulate(SETTINGS, step(quiet(SETTINGS), 1.9))
    assert (outcome.overloaded, outcome.tasks) == (0, SETTINGS.least)


@pytest.mark.parametrize("every", [20, 60])
def test_the_first_new_task_serves_when_aws_has_seen_the_spike_and_started_it(every):
    settings = replace(SETTINGS, policies=(replace(CPU, every=every),))
    serving = simulate(settings, step(quiet(settings), 5)).serving
    first = next(second for second, tasks in enumerate(serving) if tasks > settings.least)
    assert first == pytest.approx(SEEN_AFTER[every] + settings.until_serving, abs=1)


def test_more_than_all_tasks_can_bear_does_not_end():
    outcome = simulate(SETTINGS, step(SETTINGS.most * capacity(SETTINGS), 2))
    assert not outcome.ends
    assert outcome.tasks == SETTINGS.most
    assert outcome.refused > 0.5


def test_what_rises_slowly_is_refused_less_than_what_jumps():
    jump, rise = (simulate(SETTINGS, kind(quiet(SETTINGS), 10)) for kind in (step, ramp))
    assert jump.ends
    assert 0 < rise.refused < jump.refused
