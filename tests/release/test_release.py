"""`python -m release`: the order of its steps, in one go or by phase, interrupted, and two at once."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.stages import STAGES
from release import __main__ as command
from release import preflight, stacks
from release.__main__ import Phase
from release.aws import Aws
from release.command import Steps, run_command
from release.errors import CommandError, NotReleasableError
from release.images import Gate, Images
from release.preflight import Plan

BEFORE, DIGEST = "sha256:0", "sha256:1"
GATE = cast("Gate", None)


@dataclass
class Recorded:
    """What a release has done, the images of its registry, and the step that Ctrl-C interrupts."""

    done: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=lambda: {"dev-old": BEFORE})
    before: object = None
    interrupted: str = ""

    def step(self, name: str, result: object = None) -> Callable[..., Any]:
        def run(*_: object, before: object = None, **__: object) -> object:
            self.done.append(name)
            if name == self.interrupted:
                raise KeyboardInterrupt
            if name == "push":
                self.tags["commit"] = DIGEST
            if name == "verify":
                self.before = before
            return result

        return run


WHOLE = ["plan", "deploy_foundation", "build", "push", "check_scan", "deploy_service", "verify", "add_tag", "publish"]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A release of dev whose steps do nothing."""
    recorded = Recorded()
    plan = SimpleNamespace(
        aws=SimpleNamespace(
            stage=STAGES["dev"], image_name="registry/comments", environment={}, ecr=None, registry_account="",
            cloudformation=None,
        ),
        foundation=("CommentsRegistry",), builds=True, tag="commit", proven_tag="dev-commit",
    )  # fmt: skip
    images = SimpleNamespace(
        digest=recorded.tags.get, proven_in=lambda _: ["dev-old"], add_tag=recorded.step("add_tag", True)
    )
    monkeypatch.setattr(preflight, "plan", recorded.step("plan", plan))
    monkeypatch.setattr(Images, "of", lambda _: images)
    monkeypatch.setattr(command, "Cdk", lambda *_: None)
    monkeypatch.setattr(stacks, "outputs", lambda *_: {"DeployedDigest": BEFORE})
    for name in ("deploy_foundation", "build", "push", "check_scan", "deploy_service", "verify", "publish"):
        monkeypatch.setattr(command, name, recorded.step(name, name))
    return recorded


def release(*phases: Phase | None) -> None:
    for phase in phases:
        command.release(STAGES["dev"], tag=None, steps=Steps(StringIO()), only=phase)


def test_without_a_phase_a_release_does_everything(recorded: Recorded) -> None:
    release(None)
    assert recorded.done == WHOLE
    assert recorded.before == BEFORE


def test_the_phases_together_do_the_same(recorded: Recorded) -> None:
    """The push builds too, which is instant with Docker's cache, and each deployment checks the scan itself."""
    release(*Phase)
    done = [step for step in recorded.done if step != "plan"]
    assert done == ["build", "deploy_foundation", "build", "push", "check_scan", "check_scan", *WHOLE[5:]]
    assert recorded.before == BEFORE


def test_a_deployment_alone_needs_an_image_in_the_registry(recorded: Recorded) -> None:
    with pytest.raises(NotReleasableError, match="no image commit"):
        release(Phase.DEPLOY)
    assert recorded.done == ["plan"]


def test_an_image_in_the_registry_is_not_built_again(recorded: Recorded) -> None:
    recorded.tags["commit"] = DIGEST
    release(Phase.BUILD, Phase.PUSH)
    assert recorded.done == ["plan", "plan", "deploy_foundation", "check_scan"]


def test_a_stage_that_builds_nothing_deploys_its_foundation_before_the_service(recorded: Recorded) -> None:
    recorded.tags["commit"] = DIGEST
    plan = preflight.plan(STAGES["dev"], tag=None, note=print)
    plan.__dict__["builds"] = False
    recorded.done.clear()
    release(Phase.DEPLOY)
    assert recorded.done == ["plan", "deploy_foundation", "check_scan", "deploy_service"]


@pytest.mark.parametrize("interrupted", WHOLE[:-1])
def test_ctrl_c_in_any_step_exits_with_130_and_ends_the_release(
    recorded: Recorded, interrupted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.interrupted = interrupted
    with pytest.raises(SystemExit) as ended:
        run_command("release", lambda: command.release(STAGES["dev"], tag=None, steps=Steps(sys.stdout)))
    said = capsys.readouterr()
    assert ended.value.code == 130
    assert "run the same command again to finish" in said.err
    assert said.out.splitlines()[-1].startswith("    interrupted in ")
    assert recorded.done == WHOLE[: WHOLE.index(interrupted) + 1]


def push_refused(monkeypatch: pytest.MonkeyPatch, *, afterwards: str | None) -> str:
    """Build an image whose push is refused because its tag is immutable; return the digest that is used."""

    def refuse(*_: object, **__: object) -> None:
        raise CommandError("docker push ended with status 1", "tag invalid: it already exists")

    monkeypatch.setattr(command, "build", lambda *_, **__: None)
    monkeypatch.setattr(command, "push", refuse)
    digests = [None, afterwards]
    images = cast("Images", SimpleNamespace(digest=lambda _tag: digests.pop(0)))
    aws = Aws(STAGES["dev"], {}, "000000000000", "us-east-1")
    return command.find_or_push(Plan(aws=aws, tag="0123456789ab", builds=True, gate=GATE), images, print)


def test_a_push_that_came_second_takes_the_image_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert push_refused(monkeypatch, afterwards="sha256:first") == "sha256:first"


def test_a_push_that_fails_for_another_reason_stays_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="docker push"):
        push_refused(monkeypatch, afterwards=None)


@pytest.mark.parametrize(("proven_in", "released"), [("dev", True), ("pr-7", False)])
def test_a_rollback_does_not_wait_for_a_vulnerability_that_was_found_since(
    monkeypatch: pytest.MonkeyPatch, proven_in: str, released: bool
) -> None:
    def block(*_: object, **__: object) -> str:
        raise NotReleasableError("the scan found 1 critical")

    monkeypatch.setattr(command, "wait_for_scan", block)
    tags = ["0123456789ab", f"{proven_in}-0123456789ab"]
    images = cast("Images", SimpleNamespace(repository="comments", tags=lambda _digest: tags))
    plan = Plan(aws=Aws(STAGES["dev"], {}, "000000000000", "us-east-1"), tag=tags[0], builds=False, gate=GATE)
    if released:
        assert "has run it before" in command.check_scan(plan, images, DIGEST)
    else:
        with pytest.raises(NotReleasableError):
            command.check_scan(plan, images, DIGEST)
