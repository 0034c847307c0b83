"""Updates that a release cancels, and those that it leaves to ECS, by what ECS says about the tasks."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from release import cancel
from release.aws import Aws
from release.cancel import STALLED_SECONDS, Guard, Progress, Rollout, proof_of_failure
from release.evidence import Evidence, StoppedTask

NEW, OLD = "ecs-svc/2", "ecs-svc/1"
CHANGE_SET = "release-0a1b"
# Messages of AWS; tests/release/recorded.toml has their sources.
GONE = (
    "CannotPullContainerError: API error (404): repository serverless-batch not found: does not exist or no pull access"
)
WRONG_PLATFORM = (
    "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain"
    " descriptor matching platform 'linux/amd64'"
)
DENIED = "CannotPullContainerError: pull image manifest has been retried 1 time(s): 403 Forbidden"
NO_ROUTE = "CannotPullContainerError: failed to do request: dial tcp 34.205.13.154:443: i/o timeout"
CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"


def task(stop_code: str, *reasons: str, exit_code: int | None = None, **more: Any) -> StoppedTask:
    return StoppedTask("0a1b", stop_code, reasons, exit_code, **({"deployment": NEW} | more))


CRASH = task("EssentialContainerExited", "Essential container in task exited", exit_code=3)


@pytest.mark.parametrize(
    ("stopped", "running", "proof"),
    [
        pytest.param([task("TaskFailedToStart", GONE)], 0, GONE, id="image gone"),
        pytest.param([task("TaskFailedToStart", WRONG_PLATFORM)], 0, WRONG_PLATFORM, id="wrong architecture"),
        pytest.param(
            [replace(CRASH, log_lines=("exec /usr/bin/python3: exec format error",))],
            1,
            "exec format error",
            id="exec format error",
        ),
        pytest.param([CRASH, CRASH], 0, "2 tasks have exited with status 3", id="the same crash"),
        pytest.param([CRASH], 0, None, id="a crash"),
        pytest.param([CRASH, replace(CRASH, exit_code=1)], 0, None, id="different crashes"),
        pytest.param([CRASH, CRASH], 1, None, id="a task that may be healthy"),
        pytest.param([replace(CRASH, exit_code=None)] * 2, 0, None, id="unknown exit codes"),
        pytest.param([replace(CRASH, deployment=OLD)] * 2, 0, None, id="the previous version crashes"),
        pytest.param([task("TaskFailedToStart", GONE, deployment=OLD)], 0, None, id="the previous image is gone"),
        pytest.param([task("SpotInterruption", exit_code=143)] * 9, 0, None, id="Spot"),
        pytest.param([task("TaskFailedToStart", CAPACITY)] * 9, 0, None, id="no capacity"),
        pytest.param([task("UserInitiated", "Task stopped by user", exit_code=0)] * 9, 0, None, id="stopped by hand"),
        pytest.param([task("TaskFailedToStart", DENIED)] * 9, 0, None, id="a permission that may take effect"),
        pytest.param([task("TaskFailedToStart", NO_ROUTE)] * 9, 0, None, id="a network that may recover"),
        pytest.param(
            [task("ServiceSchedulerInitiated", "Task failed ELB health checks", exit_code=0)] * 9,
            0,
            None,
            id="a slow start that recovers",
        ),
    ],
)
def test_only_failures_that_no_retry_can_mend_prove_that_a_rollout_cannot_succeed(
    stopped: list[StoppedTask], running: int, proof: str | None
) -> None:
    found = proof_of_failure(Rollout(NEW, running, 2), stopped)
    assert found is None if proof is None else proof in (found or "")


def test_only_a_gained_or_a_replaced_task_is_progress() -> None:
    progress = Progress()
    states = [(0, 2), (1, 2), (0, 2), (1, 2), (2, 2), (2, 1), (2, 2), (1, 1)]  # (running, replaced) each minute
    waited = [progress.stalled_seconds(Rollout(NEW, *each), now=60.0 * n) for n, each in enumerate(states)]
    assert waited == [0, 0, 60, 120, 0, 0, 60, 120]
    assert progress.stalled_seconds(Rollout("ecs-svc/3", 0, 2), now=600) == 0


def service(state: str = "IN_PROGRESS", *, new: str = NEW, running: int = 0) -> Any:
    primary = {"id": new, "status": "PRIMARY", "rolloutState": state, "runningCount": running}
    return {"deployments": [primary, {"id": OLD, "status": "ACTIVE", "rolloutState": "COMPLETED", "runningCount": 2}]}


@pytest.fixture
def stack(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The service's stack, which this release updates."""
    prefix = "arn:aws:cloudformation:eu-west-1:111122223333:changeSet"
    described = {"StackStatus": "UPDATE_IN_PROGRESS", "ChangeSetId": f"{prefix}/{CHANGE_SET}/5e8f"}
    monkeypatch.setattr(dev.cloudformation, "describe_stacks", lambda **_: {"Stacks": [described]})
    return described


@pytest.fixture
def cancelled(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Mock:
    call = Mock()
    monkeypatch.setattr(dev.cloudformation, "cancel_update_stack", call)
    return call


def watched(aws: Aws, *states: Any, evidence: Evidence | None = None) -> Evidence:
    """Return the evidence after a rollout with these states, which follow the completed deployment OLD."""
    evidence = evidence or Evidence(stopped=[CRASH, CRASH])
    guard = Guard(aws, change_set=CHANGE_SET)
    for state in (service("COMPLETED", new=OLD), *states):
        guard.check(state, evidence)
    return evidence


@pytest.mark.usefixtures("stack")
def test_a_hopeless_update_is_cancelled_once_and_its_proof_is_kept(dev: Aws, cancelled: Mock) -> None:
    assert "status 3" in str(watched(dev, service(), service()).cancelled)
    cancelled.assert_called_once_with(StackName="NotesService-dev", ClientRequestToken=CHANGE_SET)


@pytest.mark.parametrize(
    "change",
    [
        {"ChangeSetId": "arn:aws:cloudformation:eu-west-1:111122223333:changeSet/release-9c8d/5e8f"},
        {"StackStatus": "CREATE_IN_PROGRESS"},
        {"StackStatus": "UPDATE_ROLLBACK_IN_PROGRESS"},
        {"StackStatus": "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"},
    ],
    ids=["another release's", "a creation", "already rolled back", "already complete"],
)
def test_nothing_but_its_own_update_is_cancelled(
    dev: Aws, stack: dict[str, str], cancelled: Mock, change: dict[str, str]
) -> None:
    stack.update(change)
    assert watched(dev, service()).cancelled is None
    cancelled.assert_not_called()


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    "state", [service("COMPLETED"), service("FAILED"), service(new=OLD)], ids=["complete", "failed", "earlier"]
)
def test_only_a_new_rollout_in_progress_is_judged(dev: Aws, cancelled: Mock, state: Any) -> None:
    assert watched(dev, state, evidence=Evidence(stopped=[replace(CRASH, deployment=OLD), CRASH] * 2)).cancelled is None
    cancelled.assert_not_called()


@pytest.mark.usefixtures("stack")
def test_a_rollout_without_progress_is_cancelled_after_a_quarter_of_an_hour(
    dev: Aws, cancelled: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [service(), service(running=1), service(running=1), service(running=1)]
    for length, reason in ((3, "None"), (4, "15 minutes")):
        moments = iter([0, 10, STALLED_SECONDS + 9, STALLED_SECONDS + 10])
        monkeypatch.setattr(cancel, "monotonic", moments.__next__)
        assert reason in str(watched(dev, *states[:length], evidence=Evidence()).cancelled)
    cancelled.assert_called_once()


@pytest.mark.usefixtures("stack")
def test_a_role_without_the_permission_leaves_the_update_to_ecs(
    dev: Aws, cancelled: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "User: arn:aws:sts::1:assumed-role/notes-deploy-dev/x is not authorized to perform: cloudformation:Cancel"
    cancelled.side_effect = ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "CancelUpdateStack")
    assert watched(dev, service(), service()).cancelled is None
    cancelled.assert_called_once()
    assert "notes-deploy-dev lacks cloudformation:Cancel" in capsys.readouterr().out
