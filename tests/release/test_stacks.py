"""Stacks, as CloudFormation on this machine tells of them."""

import json
import uuid
from collections.abc import Iterator

import pytest

from release import stacks
from release.aws import Aws
from release.errors import DeploymentError, NotReadyError

TOPIC = {"Type": "AWS::SNS::Topic"}
IMPOSSIBLE = {
    "Type": "AWS::Lambda::Function",
    "DependsOn": "Topic",
    "Properties": {"Role": {"Fn::GetAtt": ["Topic", "NoSuch"]}},
}


@pytest.fixture
def name(aws: Aws) -> Iterator[str]:
    name = f"stack-{uuid.uuid4().hex[:8]}"
    yield name
    aws.cloudformation.delete_stack(StackName=name)


def create(aws: Aws, name: str, resources: dict[str, object], outputs: dict[str, str] | None = None) -> None:
    template = {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()}}
    aws.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    stacks.wait_until_stable(aws.cloudformation, name, lambda _: None)


def test_a_stack_that_is_not_there_has_no_outputs(aws: Aws) -> None:
    assert stacks.describe(aws.cloudformation, "no-such-stack") is None
    assert stacks.outputs(aws.cloudformation, "no-such-stack") == {}
    stacks.wait_until_stable(aws.cloudformation, "no-such-stack", lambda _: None)


def test_outputs_are_read_by_their_names(aws: Aws, name: str) -> None:
    create(aws, name, {"Topic": TOPIC}, {"BaseUrl": "http://example.com"})
    assert stacks.outputs(aws.cloudformation, name) == {"BaseUrl": "http://example.com"}


def test_the_reason_of_a_failure_names_the_resource(aws: Aws, name: str) -> None:
    create(aws, name, {"Topic": TOPIC, "Odd": IMPOSSIBLE})
    (reason,) = stacks.failures_since(aws.cloudformation, name, None)
    assert reason.startswith("Odd (AWS::Lambda::Function): ")
    assert "NoSuch" in reason


def test_failures_before_the_mark_do_not_count(aws: Aws, name: str) -> None:
    create(aws, name, {"Topic": TOPIC, "Odd": IMPOSSIBLE})
    mark = stacks.newest_event(aws.cloudformation, name)
    assert mark is not None
    assert stacks.failures_since(aws.cloudformation, name, mark) == []


def test_each_update_of_a_stack_since_the_mark_counts(aws: Aws, name: str) -> None:
    create(aws, name, {"Topic": TOPIC})
    assert stacks.updates_since(aws.cloudformation, name, None) == 1
    mark = stacks.newest_event(aws.cloudformation, name)
    assert stacks.updates_since(aws.cloudformation, name, mark) == 0
    template = {"Resources": {"Topic": TOPIC, "Other": TOPIC}}
    aws.cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(template))
    stacks.wait_until_stable(aws.cloudformation, name, lambda _: None)
    assert stacks.updates_since(aws.cloudformation, name, mark) == 1
    assert stacks.updates_since(aws.cloudformation, "no-such-stack", None) == 0


def test_a_stage_that_is_not_deployed_has_no_address(aws: Aws) -> None:
    with pytest.raises(NotReadyError, match="run `make deploy ENV=playground`"):
        stacks.require_base_url(aws)


class Told:
    """CloudFormation with a few statuses to tell in turn; a real one passes through these in its own time."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)

    def describe_stacks(self, **_: str) -> dict[str, list[dict[str, str]]]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"Stacks": [{"StackStatus": status, "StackStatusReason": "a reason"}]}


def test_what_an_interrupted_release_left_running_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)
    told, notes = Told("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"), list[str]()
    stacks.wait_until_stable(told, "stack", notes.append)  # type: ignore[arg-type]  # only this one call is made
    assert notes == ["stack is UPDATE_IN_PROGRESS because of another or an interrupted release; waiting for it to end"]
    assert told.statuses == ["UPDATE_COMPLETE"]


def test_an_unexecuted_change_set_does_not_delay_a_deployment() -> None:
    stacks.wait_until_stable(Told("REVIEW_IN_PROGRESS"), "stack", pytest.fail)  # type: ignore[arg-type]  # only this one call is made


def test_a_rollback_that_failed_names_the_way_out() -> None:
    with pytest.raises(DeploymentError, match="aws cloudformation continue-update-rollback --stack-name stack"):
        stacks.wait_until_stable(Told("UPDATE_ROLLBACK_FAILED"), "stack", pytest.fail)  # type: ignore[arg-type]  # as above
