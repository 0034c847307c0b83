"""A release in parts, as CI shows it: each does its own, and together they do what the whole does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest

from infra.stages import STAGES
from release import __main__ as command
from release import preflight, stacks
from release.__main__ import Phase
from release.errors import NotReleasableError
from release.steps import Steps
from tests.release.test_interrupted_steps import Anything

DIGEST = "sha256:1"
BEFORE = "sha256:0"
WHOLE = ["lay", "build", "push", "scan", "deploy_watched", "prove", "add_tag", "publish"]


@dataclass
class Recorded:
    """What a release has done, and the images of its registry."""

    done: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=lambda: {"dev-old": BEFORE})
    before: object = None

    def step(self, name: str, answer: object = None) -> Callable[..., Any]:
        def run(*_: object, **__: object) -> object:
            self.done.append(name)
            return answer

        return run

    def push(self, *_: object, **__: object) -> None:
        self.done.append("push")
        self.tags["commit"] = DIGEST

    def prove(self, *_: object, before: object) -> str:
        self.done.append("prove")
        self.before = before
        return "http://example.com"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    plan, images = Anything(), Anything()
    plan.__dict__.update(groundwork=("CommentsRegistry",), builds=True, tag="commit")
    images.__dict__.update(
        digest=recorded.tags.get, proven_in=lambda _: ["dev-old"], add_tag=recorded.step("add_tag", True)
    )
    monkeypatch.setattr(preflight, "plan", lambda *_, **__: plan)
    monkeypatch.setattr(command, "images_of", lambda _: images)
    monkeypatch.setattr(command, "Cdk", lambda *_: None)
    monkeypatch.setattr(stacks, "outputs", lambda *_: {"DeployedDigest": BEFORE})
    for name in ("lay", "build", "deploy_watched", "publish"):
        monkeypatch.setattr(command, name, recorded.step(name))
    monkeypatch.setattr(command, "scan", recorded.step("scan", "nothing found"))
    monkeypatch.setattr(command, "push", recorded.push)
    monkeypatch.setattr(command, "prove", recorded.prove)
    return recorded


def release(*phases: Phase | None) -> None:
    for phase in phases:
        command.release(STAGES["dev"], older=None, steps=Steps(StringIO()), only=phase)


def test_without_a_phase_a_release_does_everything(recorded: Recorded) -> None:
    release(None)
    assert recorded.done == WHOLE
    assert recorded.before == BEFORE


def test_the_phases_together_do_the_same(recorded: Recorded) -> None:
    """The push builds too, which Docker's cache makes instant, and no deployment trusts a scan that it did not see."""
    release(*Phase)
    assert recorded.done == ["build", "lay", "build", "push", "scan", "scan", *WHOLE[4:]]
    assert recorded.before == BEFORE


def test_a_deployment_alone_needs_an_image_in_the_registry(recorded: Recorded) -> None:
    with pytest.raises(NotReleasableError, match="holds no image commit: push it first"):
        release(Phase.DEPLOY)
    assert recorded.done == []


def test_an_image_in_the_registry_is_not_built_again(recorded: Recorded) -> None:
    recorded.tags["commit"] = DIGEST
    release(Phase.BUILD, Phase.PUSH)
    assert recorded.done == ["lay", "scan"]


def test_a_stage_that_builds_nothing_lays_its_stacks_before_the_service(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.tags["commit"] = DIGEST
    plan = preflight.plan(STAGES["dev"], older=None, note=print)
    monkeypatch.setitem(plan.__dict__, "builds", False)
    release(Phase.DEPLOY, Phase.VERIFY)
    assert recorded.done == ["lay", "scan", *WHOLE[4:]]
