"""The explanation of a failure: its cause, the next step and the evidence, from messages of AWS and the service."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from release.explain import CASES, explain, explain_aws_error, explain_denial, readable
from release.watch import Evidence, StoppedTask

DOCUMENT = Path(__file__).parents[2] / "docs" / "failures.md"
MESSAGES = tomllib.loads((Path(__file__).parent / "recorded.toml").read_text())["message"]
BREAKER = 'Service (AWS::ECS::Service): "ECS Deployment Circuit Breaker was triggered"'


def stopped(
    *reasons: str, stop_code: str = "EssentialContainerExited", exit_code: int | None = None, log: tuple[str, ...] = ()
) -> StoppedTask:
    codes = {} if exit_code is None else {"api": exit_code}
    return StoppedTask("0a1b", stop_code, reasons, codes, "comments-dev:1", log)


UNHEALTHY = stopped("Task failed ELB health checks in (target-group api)", stop_code="ServiceSchedulerInitiated")
ROLLED_BACK = stopped("Deployment replaced by a newer one", stop_code="ServiceSchedulerInitiated", exit_code=0)


def seen(*tasks: StoppedTask, **evidence: Any) -> Evidence:
    return Evidence(stopped={f"{number}": task for number, task in enumerate(tasks)}, **evidence)


def explained(evidence: Evidence, *stack_failures: str) -> str:
    return "\n".join(explain(evidence, stack_failures or [BREAKER]))


def causes(evidence: Evidence, *stack_failures: str) -> list[str]:
    said = explained(evidence, *stack_failures).splitlines()
    return [line.removeprefix("cause: ") for line in said if line.startswith("cause: ")]


def logged(**fields: object) -> str:
    return json.dumps({"time": "2026-11-24T18:03:10.136Z", "level": "error", **fields})


def explanation(message: dict[str, Any]) -> str:
    """Explain a message of AWS that arrives `through` one of these ways."""
    text: str = message["text"]
    match message["through"]:
        case "task":
            return explained(seen(stopped(text, stop_code="TaskFailedToStart")))
        case "container":
            return explained(seen(stopped("Essential container in task exited", text, exit_code=137)))
        case "log":
            return explained(seen(stopped("Essential container in task exited", exit_code=1, log=(text,))))
        case "event":
            return explained(seen(events=[text]))
        case "boto3":
            error = ClientError({"Error": {"Code": message["code"], "Message": text}}, "AssumeRole")
            return f"cause: {explain_aws_error(error).summary}"
        case _:
            return explained(seen(), text)


@pytest.mark.parametrize("message", MESSAGES, ids=[message["name"] for message in MESSAGES])
def test_a_recorded_message_gives_its_cause_and_the_next_step(message: dict[str, Any]) -> None:
    said = explanation(message)
    (cause,) = [line for line in said.splitlines() if line.startswith("cause: ")]
    assert message["cause"] in cause
    assert message["next"] in cause
    assert message["through"] == "boto3" or message["text"] in said, "AWS's own message is shown too"
    assert message["source"].startswith("https://")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.meaning[:30])
def test_every_case_is_in_the_document(case: Any) -> None:
    assert case.meaning.partition(":")[0] in re.sub(r"\s+", " ", DOCUMENT.read_text())


def test_a_crash_names_the_exit_code_and_the_error_and_shows_the_log() -> None:
    log = ("Traceback (most recent call last):", '  File "/srv/app/api.py", line 7', "ModuleNotFoundError: No 'flask'")
    said = explained(seen(*[stopped("Essential container in task exited", exit_code=3, log=log)] * 3))
    assert re.match(r"cause: .*api exits with status 3.*3 tasks.*ModuleNotFoundError: No 'flask'", said)
    assert "\n  ModuleNotFoundError" in said
    assert "Traceback" not in said


def test_a_crash_inside_the_server_is_explained_by_its_log() -> None:
    raised = 'Traceback (most recent call last):\n  File "x.py", line 3, in <module>\nRuntimeError: cannot start'
    log = (logged(message="Exception in worker process", traceback=raised), logged(message="Worker failed to boot."))
    assert "RuntimeError: cannot start at x.py:3" in causes(seen(stopped("", exit_code=3, log=log)))[0]


def test_an_error_of_the_configuration_is_its_cause() -> None:
    log = ("error: COMMENTS_STORE must be sqlite:///PATH or dynamodb://TABLE", logged(message="Worker failed to boot."))
    assert "COMMENTS_STORE must be" in causes(seen(stopped("", exit_code=3, log=log)))[0]


def test_a_task_that_was_seen_to_its_end_is_preferred() -> None:
    reason = "Essential container in task exited"
    assert "exit code 3" in explained(seen(stopped(reason, exit_code=3), stopped(reason)))


@pytest.mark.parametrize("message", ["OutOfMemoryError", "Worker (pid:7) was sent SIGKILL! Perhaps out of memory?"])
def test_memory_is_named_whether_the_container_or_a_worker_was_killed(message: str) -> None:
    """Where the kernel kills a worker alone, the container continues and only fails its health checks."""
    evidence = seen(replace(UNHEALTHY, log_lines=(logged(message=message),)), unhealthy={"Request timed out"})
    (cause,) = causes(evidence)
    assert "Stage.memory" in cause


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        ({"Health checks failed with these codes: [503]"}, "wrong status: .*503"),
        ({"Request timed out"}, "too slowly"),
        ({"Health checks failed"}, "nothing responds.*port"),
        ({"Health checks failed", "Request timed out"}, "too slowly"),
        (set(), "health check"),
    ],
)
def test_a_failed_health_check_is_a_wrong_response_a_slow_one_or_none(reasons: set[str], cause: str) -> None:
    (found,) = causes(seen(UNHEALTHY, unhealthy=reasons))
    assert re.search(cause, found)
    events = [f"(port 8000) is unhealthy in (target-group api) due to (reason {reason})." for reason in reasons]
    assert causes(seen(UNHEALTHY, events=events)) == [found]


def test_a_container_that_exits_is_not_called_unhealthy_too() -> None:
    assert len(causes(seen(stopped("", exit_code=3), unhealthy={"Health checks failed"}))) == 1


@pytest.mark.parametrize(
    "said", ["alarm(s) comments-dev-5xx detected in ALARM state", "alarm(s) detected: comments-dev-5xx"]
)
def test_an_alarm_that_caused_a_rollback_is_named(said: str) -> None:
    for found in (causes(seen(rollouts_failed={"ecs-svc/1": said})), causes(seen(), f"Service: rolled back ({said}.)")):
        assert "comments-dev-5xx" in found[0]
        assert "docs/operations.md" in found[0]


DENIED = (
    "the store failed: table comments-dev: An error occurred (AccessDeniedException) when calling the Query"
    " operation: User: arn:aws:sts::000000000000:assumed-role/CommentsService-dev-Task/1 is not authorized to perform:"
    " dynamodb:Query on resource: x because no identity-based policy allows it"
)
GONE = (
    "the store failed: table comments-dev: An error occurred (ResourceNotFoundException) when calling the Query"
    " operation: Cannot do operations on a non-existent table"
)


@pytest.mark.parametrize(
    ("message", "cause", "next_step"),
    [
        (DENIED, "CommentsService-dev-Task lacks dynamodb:Query", "infra/stacks/service.py"),
        (GONE, "table comments-dev is missing", "restore it from a backup"),
        ("the store failed: table x: Connect timeout", "the store doesn't respond", "Connect timeout"),
    ],
)
def test_a_store_that_fails_is_explained_by_the_services_log(message: str, cause: str, next_step: str) -> None:
    evidence = seen(ROLLED_BACK, errors=(logged(message=message),) * 9)
    (found,) = causes(evidence)
    assert cause in found
    assert next_step in found
    assert explained(evidence).count("18:03:10 error the store failed") == 1


def test_an_unknown_failure_shows_the_last_events_and_cloudformations_reason() -> None:
    said = explained(seen(events=[f"event {number}" for number in range(9)]))
    assert "cause: " not in said
    assert BREAKER in said
    assert "event 8" in said
    assert "event 0" not in said


def test_a_failure_to_poll_is_explained() -> None:
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": ""}}, "DescribeServices")
    assert "credentials have expired" in explained(seen(failure=error))


def test_a_log_line_is_shown_in_short() -> None:
    request = {"message": "request", "method": "GET", "path": "/api/x/1", "status": 503, "duration_ms": 1.5}
    assert readable(logged(**request)) == "18:03:10 error GET /api/x/1 503 in 1.5 ms"
    assert readable("not JSON") == "not JSON"


# ---- permissions ----

DEV = "arn:aws:sts::111122223333:assumed-role/comments-deploy-dev/workflow"
READ = "arn:aws:sts::111122223333:assumed-role/comments-read/workflow"
CDK = "arn:aws:sts::111122223333:assumed-role/cdk-comments-cfn-exec-role-111122223333-eu-west-1/AWSCloudFormation"
TASK = "arn:aws:sts::111122223333:assumed-role/CommentsService-dev-ApiTaskRole1A2B/3c4d"
ALICE = "arn:aws:iam::111122223333:user/people/alice"
UNALLOWED = "because no identity-based policy allows it"


@pytest.mark.parametrize(
    ("who", "action", "why", "subject", "next_step"),
    [
        (DEV, "ecs:DescribeServices", UNALLOWED, "the role comments-deploy-dev lacks", "grants it, so deploy Comments"),
        (READ, "s3:DeleteObject", UNALLOWED, "the role comments-read lacks", "grants it to comments-preview"),
        (ALICE, "ec2:DescribeVpcs", UNALLOWED, "the user alice lacks", "ask for it to be granted"),
        (DEV, "ecr:PutImage", "with an explicit deny in a service control policy", "is denied", "administrator"),
        (CDK, "wafv2:CreateWebACL", UNALLOWED, "the role cdk-comments-cfn-exec", "infra/execution_policy.py"),
        (TASK, "dynamodb:Query", UNALLOWED, "the role CommentsService-dev", "infra/stacks/service.py"),
    ],
    ids=["a role with an older policy", "a role for something else", "a person", "an organization", "CDK", "a task"],
)
def test_a_denial_names_role_permission_and_where_to_grant_it(
    who: str, action: str, why: str, subject: str, next_step: str
) -> None:
    message = f"User: {who} is not authorized to perform: {action} on resource: arn:x {why}"
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "DoIt")
    summary = explain_aws_error(error).summary
    assert subject in summary
    assert f"{action} on arn:x" in summary
    assert next_step in summary
    assert causes(seen(), f"Table (AWS::DynamoDB::Table): {message}") == [summary], "CloudFormation may say so too"


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (f"denied: User: {DEV} is not authorized to perform: ecr:UploadLayerPart", "lacks ecr:UploadLayerPart"),
        ('error parsing HTTP 403 response body: unexpected end of JSON input: ""', "lack ecr:BatchCheckLayer"),
        (
            "current credentials could not be used to assume 'arn:aws:iam::1:role/comments-cdk-deploy', but are for",
            "lack sts:AssumeRole on arn:aws:iam::1:role/comments-cdk-deploy",
        ),
    ],
    ids=["docker push", "docker push without a reason", "cdk deploy"],
)
def test_a_denial_is_recognized_in_the_output_of_a_tool(text: str, lacks: str) -> None:
    assert lacks in (explain_denial(text) or "")


def test_other_output_of_a_tool_is_no_denial() -> None:
    assert explain_denial("denied: requested access to the resource is denied") is None


@pytest.mark.parametrize(
    ("code", "next_step"),
    [("InvalidClientTokenId", "check AWS_PROFILE"), ("AccessDenied", "AWS rejected DoIt: AccessDenied: not you")],
)
def test_another_refusal_of_aws_is_explained_or_quoted(code: str, next_step: str) -> None:
    assert next_step in explain_aws_error(ClientError({"Error": {"Code": code, "Message": "not you"}}, "DoIt")).summary
