"""The explanation of a failed deployment, from what ECS and the balancer say on AWS."""

import json
from dataclasses import replace

import pytest

from release.causes import explain
from release.evidence import Container, Evidence, StoppedTask
from tests.playground.documented import documented, normalised

BREAKER = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."
STACK_SAYS = [f'Service (AWS::ECS::Service): Resource handler returned message: "{BREAKER}"']


def stopped(
    reason: str,
    *,
    number: int = 1,
    stop_code: str = "EssentialContainerExited",
    exit_code: int | None = None,
    container_reason: str = "",
    log_lines: tuple[str, ...] = (),
) -> StoppedTask:
    return StoppedTask(
        id=f"task{number}",
        stop_code=stop_code,
        reason=reason,
        containers=(Container("api", exit_code, container_reason),),
        definition="comments-dev:1",
        log_lines=log_lines,
    )


def explained(*tasks: StoppedTask, events: list[str] | None = None, unhealthy: set[str] | None = None) -> str:
    evidence = Evidence(events=events or [], stopped={task.id: task for task in tasks}, unhealthy=unhealthy or set())
    return "\n".join(explain(evidence, STACK_SAYS))


def test_a_crash_at_start_gives_exit_code_and_last_log_lines() -> None:
    log_lines = (
        "Traceback (most recent call last):",
        '  File "/srv/app/api.py", line 7, in <module>',
        "    from flask import Flask",
        "ModuleNotFoundError: No module named 'flask'",
    )
    tasks = [
        stopped("Essential container in task exited", number=number, exit_code=3, log_lines=log_lines)
        for number in (1, 2, 3)
    ]
    said = explained(*tasks)
    error = "ModuleNotFoundError: No module named 'flask' at /srv/app/api.py:7"
    assert f"cause: the container api exits by itself with 3, 3 tasks: {error}\n" in said
    assert f"last log lines of task task3:\n  {error}" in said
    assert "Traceback" not in said


def test_a_task_that_was_seen_to_its_end_is_shown_before_one_that_was_not() -> None:
    reason = "Essential container in task exited"
    said = explained(stopped(reason, exit_code=3), stopped(reason, number=2))
    assert "task task1: Essential container in task exited (api: exit code 3)" in said


def test_an_image_that_is_gone_is_named() -> None:
    reason = (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref x: not found"
    )
    said = explained(stopped(reason, stop_code="TaskFailedToStart"))
    assert "cause: the registry no longer holds the image: release a commit that it holds" in said
    assert f"said: {reason} (1 task)" in said
    assert "wrote no log line" in said


def test_a_secret_that_cannot_be_read_is_told_from_a_missing_image() -> None:
    reason = "ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException"
    said = explained(stopped(reason, stop_code="TaskFailedToStart"))
    assert "cause: the task's execution role lacks the permission below" in said
    assert f"said: {reason} (1 task)" in said


def test_a_kill_for_memory_names_the_setting() -> None:
    reason = "OutOfMemoryError: Container killed due to memory usage"
    said = explained(stopped("Essential container in task exited", exit_code=137, container_reason=reason))
    assert "cause: the container needs more memory than the stage gives it: raise Stage.memory" in said
    assert f"(api: exit code 137, {reason})" in said
    assert "exits by itself" not in said


def unhealthy_event(reason: str) -> list[str]:
    return [f"(service comments-dev) (port 8000) is unhealthy in (target-group api) due to (reason {reason})."]


UNHEALTHY = stopped("Task failed ELB health checks in (target-group api)", stop_code="ServiceSchedulerInitiated")


def test_a_wrong_answer_to_the_health_check_gives_its_code() -> None:
    said = explained(UNHEALTHY, events=unhealthy_event("Health checks failed with these codes: [503]"))
    assert "cause: the health check gets the wrong answer: Health checks failed with these codes: [503]" in said


def test_a_late_answer_to_the_health_check_is_told_from_a_wrong_one() -> None:
    said = explained(UNHEALTHY, events=unhealthy_event("Request timed out"))
    assert "cause: the health check gets no answer in time: Request timed out" in said


def test_a_container_that_does_not_listen_is_told_from_a_late_answer() -> None:
    said = explained(UNHEALTHY, unhealthy={"Health checks failed"})
    assert "cause: nothing answers the health check" in said
    assert "does the container listen on its port?" in said


def test_the_balancers_detailed_word_replaces_its_vague_one() -> None:
    said = explained(UNHEALTHY, unhealthy={"Health checks failed", "Request timed out"})
    assert "in time" in said
    assert "listen" not in said


def test_an_unhealthy_task_without_a_word_of_the_balancer_is_a_cause_still() -> None:
    assert "cause: tasks fail the balancer's health check" in explained(UNHEALTHY)


def test_a_container_that_exits_is_not_called_unhealthy_too() -> None:
    said = explained(stopped("Essential container in task exited", exit_code=3), unhealthy={"Health checks failed"})
    assert said.count("cause: ") == 1


@pytest.mark.parametrize(
    "said", ["alarm(s) comments-dev-5xx detected in ALARM state", "alarm(s) detected: comments-dev-5xx"]
)
def test_an_alarm_that_rolled_back_is_named_whoever_says_so(said: str) -> None:
    cause = "cause: an alarm rolled the deployment back: comments-dev-5xx; docs/operations.md has a section on each"
    reason = f"ECS deployment failed: {said}"
    assert explain(Evidence(rollouts_failed={"ecs-svc/1": reason}), STACK_SAYS)[0] == cause
    assert explain(Evidence(), [f"Service: rolled back ({reason}.)"])[0] == cause


def test_a_task_that_finds_no_place_is_a_cause() -> None:
    event = "(service comments-dev) was unable to place a task. Reason: Capacity is unavailable at this time."
    said = explained(events=[event])
    assert "cause: AWS has no room for the task just now" in said
    assert event in said


def test_the_word_of_cloudformation_is_always_there() -> None:
    assert "CloudFormation: Service (AWS::ECS::Service)" in explained()


def test_an_unknown_failure_gives_the_last_events() -> None:
    said = explained(events=[f"event {number}" for number in range(9)])
    assert "service event: event 8" in said
    assert "event 0" not in said


def test_a_watch_that_failed_says_so() -> None:
    assert any(
        "credentials have expired" in line for line in explain(Evidence(blind="the AWS credentials have expired"), [])
    )


def log(**fields: object) -> str:
    return json.dumps({"time": "2026-11-24T18:03:10.136Z", "level": "error", **fields})


def test_workers_that_the_kernel_kills_name_the_setting() -> None:
    words = log(message="Worker (pid:7) was sent SIGKILL! Perhaps out of memory?", logger="gunicorn.error")
    said = explained(replace(UNHEALTHY, log_lines=(words,)), unhealthy={"Request timed out"})
    assert said.startswith("cause: the container needs more memory than the stage gives it: raise Stage.memory")
    assert "  18:03:10 error Worker (pid:7) was sent SIGKILL! Perhaps out of memory?" in said


def test_an_error_of_the_service_itself_is_its_cause() -> None:
    lines = (
        "error: COMMENTS_STORE must be sqlite:///PATH or dynamodb://TABLE",
        log(message="Reason: Worker failed to boot."),
    )
    said = explained(stopped("Essential container in task exited", exit_code=3, log_lines=lines))
    assert "cause: the container api exits by itself with 3, 1 task: COMMENTS_STORE must be sqlite" in said


ROLLED_BACK = stopped("Deployment replaced by a newer one", stop_code="ServiceSchedulerInitiated", exit_code=0)
DENIED = (
    "the store failed: table comments-dev: An error occurred (AccessDeniedException) when calling the Query"
    " operation: User: arn:aws:sts::000000000000:assumed-role/Task/1 is not authorized to perform: dynamodb:Query on"
    " resource: arn:aws:dynamodb:us-east-1:000000000000:table/comments-dev because no identity-based policy allows it"
)
GONE = (
    "the store failed: table comments-dev: An error occurred (ResourceNotFoundException) when calling the"
    " Query operation: Cannot do operations on a non-existent table"
)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (DENIED, "the task's role lacks dynamodb:Query on the table comments-dev: grant it in infra/stacks/service.py"),
        (GONE, "there is no table comments-dev: restore it from its backup under this name"),
        (
            "the store failed: table x: Connect timeout on endpoint",
            "the store does not answer: table x: Connect timeout",
        ),
    ],
)
def test_a_store_that_fails_is_told_from_the_log(message: str, cause: str) -> None:
    raised = 'Traceback (most recent call last):\n  File "x.py", line 3, in read\n    query()\nClientError: timed out'
    evidence = Evidence(stopped={"task1": ROLLED_BACK}, errors=(log(message=message, traceback=raised),) * 9)
    said = "\n".join(explain(evidence, STACK_SAYS))
    assert said.startswith(f"cause: {cause}")
    assert said.endswith(f"\nlast errors in the log:\n  18:03:10 error {message} (ClientError: timed out at x.py:3)")


def test_the_requests_of_a_task_are_short_too() -> None:
    line = log(message="request", method="GET", route="/api/x", path="/api/x/1", status=503, duration_ms=1.5)
    assert explained(replace(ROLLED_BACK, log_lines=(line,))).endswith("  18:03:10 error GET /api/x/1 503 in 1.5 ms")


def test_a_permission_that_cloudformation_lacks_is_named() -> None:
    refused = (
        "Comments (AWS::DynamoDB::Table): User: arn:aws:sts::000000000000:assumed-role/cdk-hnb659fds-cfn-exec-role-"
        "000000000000-us-east-1/AWSCloudFormation is not authorized to perform: dynamodb:CreateTable on resource: x"
    )
    said = explain(Evidence(), [refused])
    assert said[0].startswith(
        "cause: the role cdk-hnb659fds-cfn-exec-role-000000000000-us-east-1 lacks dynamodb:Create"
    )
    assert said[1] == f"CloudFormation: {refused}"


def test_an_error_that_the_message_repeats_is_shown_once() -> None:
    raised = 'Traceback (most recent call last):\n  File "x.py", line 3, in read\nRefused: no such table'
    errors = (log(message="the store failed: table x: no such table", traceback=raised),)
    said = explain(Evidence(stopped={"task1": ROLLED_BACK}, errors=errors), STACK_SAYS)
    assert said[-1] == "  18:03:10 error the store failed: table x: no such table"


def test_a_port_that_is_taken_in_the_task_is_told_as_documented() -> None:
    """The lines are gunicorn's."""
    lines = (
        log(message="Starting gunicorn 27.0.1", level="info"),
        log(message="Connection in use: ('0.0.0.0', 8000)", logger="gunicorn.error"),
        log(message="Can't connect to ('0.0.0.0', 8000)", logger="gunicorn.error"),
    )
    said = explain(
        Evidence(stopped={"1": stopped("Essential container in task exited", exit_code=1, log_lines=lines)}), []
    )
    documented_lines = documented("Port taken, in the task")[1:]
    assert normalised("\n".join(said).replace("task1", "TASK")) == documented_lines
