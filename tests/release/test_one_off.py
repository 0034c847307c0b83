"""The command before a rollout: what it runs with, and how its failures are explained. tests/playground runs one."""

from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, WaiterError

from release import one_off
from release.aws import Aws
from release.command import DeploymentError
from release.one_off import run_before_rollout

NEW = "sha256:" + "2" * 64
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}}
CONTAINER = {
    "name": "web",
    "image": "registry/notes@sha256:1",
    "environment": [{"name": "NOTES_TABLE", "value": "notes-dev-pages"}, {"name": "IMAGE_DIGEST", "value": "sha256:1"}],
    "secrets": [{"name": "NOTES_KEY", "valueFrom": "arn:secret"}],
}
RUNNING = {"taskRoleArn": "role/task", "executionRoleArn": "role/execution", "cpu": "256", "memory": "512"}


@pytest.fixture
def ecs(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """ECS with a running service and a command that has succeeded."""
    running = RUNNING | {"runtimePlatform": {"cpuArchitecture": "ARM64"}, "containerDefinitions": [CONTAINER]}
    ecs = Mock()
    ecs.describe_services.return_value = {
        "services": [{"taskDefinition": "notes-dev:7", "networkConfiguration": NETWORK}]
    }
    ecs.describe_task_definition.return_value = {"taskDefinition": running}
    ecs.register_task_definition.return_value = {"taskDefinition": {"taskDefinitionArn": "notes-dev-command:1"}}
    ecs.run_task.return_value = {"tasks": [{"taskArn": "task/1"}], "failures": []}
    ecs.describe_tasks.return_value = {"tasks": [stopped(exitCode=0)]}
    monkeypatch.setitem(dev.__dict__, "ecs", ecs)
    monkeypatch.setattr(one_off, "last_log_lines", lambda *_: ("one column added",))
    return ecs


def stopped(reason: str = "Essential container in task exited", **container: Any) -> dict[str, Any]:
    code = "EssentialContainerExited" if container else "TaskFailedToStart"
    return {
        "taskArn": "task/1",
        "stopCode": code,
        "stoppedReason": reason,
        "containers": [{"name": "web", **container}],
    }


def test_it_runs_the_new_image_like_a_task_of_the_service(
    dev: Aws, ecs: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    run_before_rollout(dev, NEW)
    registered = ecs.register_task_definition.call_args.kwargs
    assert registered.items() >= RUNNING.items()
    (container,) = registered["containerDefinitions"]
    changed = {key: value for key, value in container.items() if value != CONTAINER.get(key)}
    variables = [{"name": "NOTES_TABLE", "value": "notes-dev-pages"}, {"name": "IMAGE_DIGEST", "value": NEW}]
    image = f"registry/notes@{NEW}"
    assert changed == {"image": image, "command": ["notes", "migrate"], "environment": variables}
    started = ecs.run_task.call_args.kwargs
    assert started.items() >= {"networkConfiguration": NETWORK, "launchType": "FARGATE"}.items()
    assert "one column added" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "cause"),
    [
        (stopped(exitCode=3), "exits with status 3"),
        (stopped("CannotPullContainerError: image not found"), "no longer in the registry"),
    ],
    ids=["it fails", "it does not start"],
)
def test_its_failure_is_explained(dev: Aws, ecs: Mock, task: dict[str, Any], cause: str) -> None:
    ecs.describe_tasks.return_value = {"tasks": [task]}
    with pytest.raises(DeploymentError, match="`notes migrate` failed before the rollout") as failed:
        run_before_rollout(dev, NEW)
    assert cause in failed.value.details[0]


def test_a_task_without_capacity_is_explained(dev: Aws, ecs: Mock) -> None:
    ecs.run_task.return_value = {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time"}]}
    with pytest.raises(DeploymentError) as failed:
        run_before_rollout(dev, NEW)
    assert "no capacity right now" in failed.value.details[0]


def test_a_command_that_takes_too_long_is_left_running_and_named(dev: Aws, ecs: Mock) -> None:
    ecs.get_waiter.return_value.wait.side_effect = WaiterError("tasks_stopped", "Max attempts exceeded", {})
    with pytest.raises(DeploymentError) as failed:
        run_before_rollout(dev, NEW)
    assert "aws ecs stop-task --cluster notes-dev --task task/1" in failed.value.details[0]


def test_credentials_that_expire_meanwhile_are_not_taken_for_a_failure(dev: Aws, ecs: Mock) -> None:
    expired = ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "DescribeTasks").response
    ecs.get_waiter.return_value.wait.side_effect = WaiterError("tasks_stopped", "An error occurred", expired)
    with pytest.raises(DeploymentError, match="its result is unknown") as failed:
        run_before_rollout(dev, NEW)
    assert "sign in again" in failed.value.details[0]
    assert "it may still run: wait for it, or stop it" in failed.value.details[1]
