"""Which previews are destroyed for their age, from stacks in CloudFormation on this machine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from infra.stages import Stage
from release import reap
from release.aws import Aws
from release.errors import DeploymentError
from release.steps import Steps

TEMPLATE = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
STACKS = [
    "CommentsFoundation-pr-7",
    "CommentsService-pr-7",
    "CommentsFoundation-pr-8",
    "CommentsFoundation-dev",
    "x-pr-9",
]


@pytest.fixture
def stacks(aws: Aws) -> Iterator[Aws]:
    for name in STACKS:
        aws.cloudformation.create_stack(StackName=name, TemplateBody=TEMPLATE)
    yield aws
    for name in STACKS:
        aws.cloudformation.delete_stack(StackName=name)


def outdated(aws: Aws, *, in_days: int) -> list[str]:
    return reap.outdated(aws.cloudformation, days=3, now=datetime.now(UTC) + timedelta(days=in_days))


def test_previews_alone_are_outdated_and_only_after_three_days(stacks: Aws) -> None:
    assert outdated(stacks, in_days=2) == []
    assert outdated(stacks, in_days=4) == ["pr-7", "pr-8"]


def test_what_is_destroyed_already_is_not_destroyed_again(stacks: Aws) -> None:
    stacks.cloudformation.delete_stack(StackName="CommentsFoundation-pr-8")
    assert outdated(stacks, in_days=4) == ["pr-7"]


def test_one_preview_that_cannot_be_destroyed_does_not_keep_the_others(
    stacks: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    destroyed = []

    def destroy(stage: Stage, _steps: Steps, *, confirmed: str) -> None:
        assert not confirmed
        destroyed.append(stage.name)
        if stage.name == "pr-7":
            raise DeploymentError("it resists")

    monkeypatch.setattr(reap, "destroy", destroy)
    monkeypatch.setattr(Aws, "of", lambda _stage: stacks)
    assert reap.reap(days=-1, steps=Steps()) == 1
    assert destroyed == ["pr-7", "pr-8"]
    assert "pr-7 remains: it resists" in capsys.readouterr().out
