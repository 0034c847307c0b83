"""Two releases of one stage at a time: the second waits for its turn, or says what came of it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from release import __main__ as command
from release import deploy
from release.aws import Aws
from release.deploy import Cdk
from release.errors import CommandError, DeploymentError
from release.images import Images
from release.preflight import Plan
from tests.release.test_scan import GATE

# As CloudFormation says it: https://github.com/remind101/empire/issues/932, https://github.com/aws/aws-cdk/issues/26182
# and https://github.com/aws/aws-cdk/issues/6674
OVERTAKEN = [
    "ValidationError: Stack:arn:aws:cloudformation:::stack/x/y is in UPDATE_IN_PROGRESS state and can not be updated.",
    "InvalidChangeSetStatus: An operation on this ChangeSet is currently in progress.",
    "ChangeSetNotFound: ChangeSet [cdk-deploy-change-set] does not exist",
]


def deployed(aws: Aws, monkeypatch: pytest.MonkeyPatch, *failures: str) -> list[str]:
    """Deploy a stack with a CLI that fails with these words, one a run, and return what was told."""
    left, notes = list(failures), list[str]()

    def cdk(*_: object, **__: object) -> list[str]:
        if left:
            raise CommandError("cdk deploy ended with status 1", left.pop(0))
        return []

    monkeypatch.setattr(deploy, "run", cdk)
    Cdk(aws, notes.append).deploy("no-such-stack")
    assert not left
    return notes


@pytest.mark.parametrize("said", OVERTAKEN)
def test_a_release_that_was_overtaken_waits_and_tries_again(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    assert (
        deployed(aws, monkeypatch, said, said)
        == ["another release was faster; waiting for it to end, then trying again"] * 2
    )


def test_a_release_that_is_overtaken_again_and_again_gives_up(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeploymentError) as failed:
        deployed(aws, monkeypatch, *OVERTAKEN * 2)
    assert failed.value.details[0].startswith(OVERTAKEN[1].split(":")[0])


def test_another_failure_is_not_tried_again(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeploymentError, match="cdk could not deploy no-such-stack"):
        deployed(aws, monkeypatch, "Template error", "Template error")


def build_and_push(monkeypatch: pytest.MonkeyPatch, *, afterwards: str | None) -> tuple[Callable[[], str], list[str]]:
    """Return what builds an image whose push is refused, since its tag is immutable, and what it tells."""

    def refused(*_: object, **__: object) -> None:
        raise CommandError("docker push ended with status 1", "tag invalid: it already exists")

    monkeypatch.setattr(command, "build", lambda *_, **__: None)
    monkeypatch.setattr(command, "push", refused)
    answers, notes = [None, afterwards], list[str]()
    images = cast("Images", SimpleNamespace(digest=lambda _tag: answers.pop(0)))
    stage = SimpleNamespace(architecture=None)
    aws = SimpleNamespace(image_name="x/comments", stage=stage, environment={}, ecr=None, registry_account="")
    plan = Plan(aws=cast("Aws", aws), tag="0123456789ab", builds=True, gate=GATE)
    return lambda: command.find_or_build(plan, images, notes.append), notes


def test_a_push_that_came_second_takes_the_image_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    find, notes = build_and_push(monkeypatch, afterwards="sha256:first")
    assert find() == "sha256:first"
    assert "another release of this commit has pushed it meanwhile" in notes[-1]


def test_a_push_that_fails_for_another_reason_stays_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    find, _ = build_and_push(monkeypatch, afterwards=None)
    with pytest.raises(CommandError, match="docker push ended"):
        find()
