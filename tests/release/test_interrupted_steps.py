"""Ctrl-C in any step of a release: exit status 130, one line that says how to go on, and no step after it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.stages import STAGES
from release import __main__ as command
from release.command import run_command
from release.steps import Steps

STEPS = ("preflight", "lay", "find_or_build", "scan", "deploy_watched", "prove", "add_tag")


@dataclass
class Release:
    """A release whose steps do nothing, and one of which is interrupted."""

    interrupted: str
    begun: list[str] = field(default_factory=list)

    def step(self, name: str, answer: object = "sha256:1") -> Callable[..., Any]:
        def run(*_: object, **__: object) -> object:
            self.begun.append(name)
            if name == self.interrupted:
                raise KeyboardInterrupt
            return answer

        return run


class Anything:
    """Stands for the plan and all that it holds."""

    def __getattr__(self, name: str) -> Any:
        return Anything()

    def __str__(self) -> str:
        return "x"


@pytest.mark.parametrize("interrupted", STEPS)
def test_ctrl_c_in_any_step_ends_with_130_and_one_line(
    interrupted: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = Release(interrupted)
    plan = Anything()
    plan.__dict__["groundwork"] = ("CommentsRegistry",)
    images = Anything()
    images.__dict__["add_tag"] = release.step("add_tag")
    monkeypatch.setattr(command.preflight, "plan", release.step("preflight", plan))
    monkeypatch.setattr(command, "images_of", lambda _: images)
    monkeypatch.setattr(command, "Cdk", lambda *_: None)
    monkeypatch.setattr(command.stacks, "outputs", lambda *_: {})
    monkeypatch.setattr(command, "publish", lambda **_: None)
    for name in STEPS[1:-1]:
        monkeypatch.setattr(command, name, release.step(name))
    with pytest.raises(SystemExit) as ended:
        run_command("release", lambda: command.release(STAGES["dev"], older=None, steps=Steps(sys.stdout)))
    said = capsys.readouterr()
    assert ended.value.code == 130
    assert said.err == "release interrupted: what AWS has begun goes on there; run the same command again to finish\n"
    assert said.out.splitlines()[-1].startswith("    interrupted in ")
    assert release.begun == list(STEPS[: STEPS.index(interrupted) + 1])
