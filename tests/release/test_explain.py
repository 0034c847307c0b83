"""The explanation of a failure: its cause, the next step and the evidence, from messages of AWS and the service."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from release import explain as module
from release.aws_errors import explain_aws_error, explain_denial
from release.evidence import Evidence, StoppedTask
from release.explain import CASES, explain

DOCUMENT = Path(__file__).parents[2] / "docs" / "failures.md"
MESSAGES = tomllib.loads((Path(__file__).parent / "recorded.toml").read_text())
DEV = "arn:aws:sts::111122223333:assumed-role/notes-deploy-dev/workflow"
CDK = "arn:aws:sts::111122223333:assumed-role/cdk-notes-cfn-exec-role-111122223333-eu-west-1/AWSCloudFormation"
TASK = "arn:aws:sts::111122223333:assumed-role/NotesService-dev-WebTaskRole1A2B/3c4d"
ALICE = "arn:aws:iam::111122223333:user/people/alice"
UNALLOWED = "because no identity-based policy allows it"
UNBOUNDED = "because no permissions boundary allows the"
BREAKER = 'Service (AWS::ECS::Service): "ECS Deployment Circuit Breaker was triggered"'


def stopped(
    *reasons: str, stop_code: str = "EssentialContainerExited", exit_code: int | None = None, log: tuple[str, ...] = ()
) -> StoppedTask:
    return StoppedTask("0a1b", stop_code, reasons, exit_code, log)


def unhealthy(*log: str, reason: str = "Health checks failed") -> Evidence:
    """A task that the load balancer gave up, for a reason that an event names beside the generic one."""
    task = stopped(
        "Task failed ELB health checks in (target-group api)", stop_code="ServiceSchedulerInitiated", log=log
    )
    event = "(port 8000) is unhealthy in (target-group api) due to (reason {})."
    return Evidence([event.format("Health checks failed"), event.format(reason)], stopped=[task])


def causes(evidence: Evidence, *stack_failures: str) -> list[str]:
    said = explain(evidence, stack_failures or [BREAKER])
    return [line.removeprefix("cause: ") for line in said if line.startswith("cause: ")]


def logged(**fields: object) -> str:
    return json.dumps({"level": "error", **fields})


@pytest.mark.parametrize("name", MESSAGES)
def test_a_recorded_message_gives_its_cause_and_the_next_step(name: str) -> None:
    message = MESSAGES[name]
    text = message["text"]
    evidence = {
        "task": Evidence(stopped=[stopped(text, stop_code="TaskFailedToStart")]),
        "container": Evidence(stopped=[stopped("Essential container in task exited", text, exit_code=137)]),
        "log": Evidence(stopped=[stopped("Essential container in task exited", exit_code=1, log=(text,))]),
        "event": Evidence(events=[text]),
    }.get(message["through"])
    explained = "\n".join(explain(evidence, [BREAKER]) if evidence else explain(Evidence(), [text]))
    (cause,) = [line for line in explained.splitlines() if line.startswith("cause: ")]
    assert all(said in cause for said in message["said"])
    assert text in explained, "AWS's own message is shown too"
    assert message["source"].startswith("https://")


def test_an_explanation_is_json_and_a_summary_of_the_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setattr(module, "EXPLANATION", tmp_path / "build" / "explanation.json")
    module.publish_explanation("dev", "NotesService-dev: failed", ["cause: no memory", "ECS: `" * 3])
    explanation = json.loads(module.EXPLANATION.read_text())
    assert explanation["causes"] == ["no memory"]
    assert explanation["evidence"] == ["ECS: `" * 3]
    assert "### NotesService-dev: failed\n\n- no memory\n" in summary.read_text()


def test_every_case_is_in_the_document() -> None:
    document = re.sub(r"\s+", " ", DOCUMENT.read_text())
    assert [meaning for meaning in CASES.values() if meaning.partition(":")[0] not in document] == []


RAISED = 'Traceback (most recent call last):\n  File "x.py", line 3, in <module>\nRuntimeError: cannot start'
BOOT = logged(message="Worker failed to boot.")


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (tuple(RAISED.splitlines()), "RuntimeError: cannot start"),
        (
            (logged(message="Exception in worker process", traceback=RAISED), BOOT),
            "RuntimeError: cannot start at x.py:3",
        ),
        (("error: NOTES_TABLE must be set", BOOT), "NOTES_TABLE must be"),
    ],
    ids=["outside the server", "inside the server", "a setting"],
)
def test_a_crash_names_the_exit_code_and_the_error_and_shows_the_log(log: tuple[str, ...], error: str) -> None:
    crashed = stopped("Essential container in task exited", exit_code=3, log=log)
    early = stopped("Essential container in task exited")  # seen before its container had exited
    spot = stopped("Your Spot Task was interrupted.", stop_code="SpotInterruption", exit_code=0, log=("worker exits",))
    evidence = Evidence(unhealthy().events, stopped=[crashed, crashed, early, spot])
    (cause,) = causes(evidence)
    assert "web exits with status 3" in cause
    assert error in cause
    said = "\n".join(explain(evidence, []))
    assert error.partition(" at ")[0] in said.partition("last log lines")[2]
    assert "Traceback" not in said


def test_a_shortage_of_spot_does_not_hide_why_tasks_crash() -> None:
    shortage = MESSAGES["capacity"]["text"]
    crash = stopped("Essential container in task exited", exit_code=3)
    (cause,) = causes(Evidence(events=[shortage], stopped=[crash, crash]))
    assert "web exits with status 3, 2 times" in cause


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (unhealthy(reason="Health checks failed with these codes: [503]"), "wrong status: .*503"),
        (unhealthy(), "nothing responds.*port"),
        (unhealthy(reason="Request timed out"), "too slowly"),
        (Evidence(stopped=unhealthy().stopped), "health check"),
        # Where the kernel kills a worker alone, the container continues and only fails its health checks.
        (unhealthy(logged(message="OutOfMemoryError")), r"Stage\.memory"),
        (unhealthy(logged(message="Worker (pid:7) was sent SIGKILL! Perhaps out of memory?")), r"Stage\.memory"),
    ],
)
def test_a_failed_health_check_is_a_wrong_response_a_slow_one_none_or_a_killed_worker(
    evidence: Evidence, cause: str
) -> None:
    (found,) = causes(evidence)
    assert re.search(cause, found)


def test_an_alarm_that_caused_a_rollback_is_named() -> None:
    for said in ("alarm(s) notes-dev-5xx detected in ALARM state", "alarm(s) detected: notes-dev-5xx"):
        for found in (causes(Evidence(rollouts_failed=[said])), causes(Evidence(), f"Service: rolled back ({said}.)")):
            assert re.search(r"notes-dev-5xx in docs/operations\.md", found[0])


def test_the_exception_that_fired_an_alarm_comes_before_the_alarm() -> None:
    places = '  File "/app/pages.py", line 7, in save\n  File "/venv/lib/python3.13/json.py", line 1, in dumps'
    stack = f"Traceback (most recent call last):\n{places}\nKeyError: 1"
    post = logged(message="unexpected error", method="POST", route="/pages", traceback=stack)
    get = logged(message="unexpected error", method="GET", route="/pages", traceback="Traceback:\nValueError: no")
    found = causes(Evidence(rollouts_failed=["alarm(s) detected: notes-dev-5xx"], errors=[get, *[post] * 9]))
    assert found[:2] == ["KeyError: 1 at /app/pages.py:7 in POST /pages, 9 times", "ValueError: no in GET /pages"]
    assert "notes-dev-5xx" in found[2]
    plain = ["2026-12-02 08:42 ERROR Exception on /pages [POST]", "KeyError: 'page'"] * 9
    assert causes(Evidence(errors=plain)) == ["KeyError: 'page', 9 times"]


@pytest.mark.parametrize("error", ["exceptions.ClientError", "errorfactory.AccessDenied"])
def test_a_denied_request_names_the_permission_that_its_role_lacks(error: str) -> None:
    """boto3 derives some exceptions from AWS's models, whose names don't end with Error."""
    task = "User: arn:aws:sts::000000000000:assumed-role/NotesService-dev-Task/1"
    why = f"{task} is not authorized to perform: s3:GetObject because no identity-based policy allows it"
    (cause,) = causes(Evidence(errors=[f"botocore.{error}: An error occurred (AccessDenied): {why}"] * 9))
    assert cause.startswith("the role NotesService-dev-Task lacks s3:GetObject: grant it in infra/workload.py")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("ResourceNotFoundException", "table notes-dev-pages is missing: restore it"),
        ("Connect timeout", "the table doesn't respond.*Connect timeout"),
    ],
)
def test_a_store_that_fails_is_explained_by_the_services_log(error: str, cause: str) -> None:
    evidence = Evidence(errors=[logged(message=f"no table: notes-dev-pages: {error}")] * 9)
    (found,) = causes(evidence)
    assert re.search(cause, found)
    assert str(explain(evidence, [])).count("error: no table") == 1


def test_a_cancelled_update_says_why_beside_the_cause_that_a_task_gives() -> None:
    evidence = Evidence(cancelled="the rollout made no progress for 15 minutes")
    assert "no progress for 15 minutes" in causes(evidence)[0]
    assert "release: cancelled the update: the rollout made no progress for 15 minutes" in explain(evidence, [])
    evidence.stopped = [stopped(exit_code=3)] * 2
    assert ["exits with status 3" in cause for cause in causes(evidence)] == [True]


def test_an_unknown_failure_shows_the_last_events_and_cloudformations_reason() -> None:
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": ""}}, "DescribeServices")
    evidence = Evidence(events=[f"event {number}" for number in range(9)], failure=error)
    said = "\n".join(explain(evidence, [BREAKER]))
    assert "cause: " not in said
    assert BREAKER in said
    assert "event 8" in said
    assert "event 0" not in said
    assert "credentials have expired: sign in again (aws sso login)" in said, "why there is no more evidence"


# ---- permissions ----


@pytest.mark.parametrize(
    ("who", "action", "why", "subject", "next_step"),
    [
        (DEV, "ecs:DescribeServices", UNALLOWED, "the role notes-deploy-dev lacks", "infra/permissions.py"),
        (ALICE, "ec2:DescribeVpcs", UNALLOWED, "alice lacks", "ask for it to be granted"),
        (DEV, "ecr:PutImage", "with an explicit deny in a service control policy", "is denied", "administrator"),
        (
            DEV,
            "ecr:PutImage",
            "because no resource-based policy allows it",
            "dev lacks",
            "deploy a stage of the registry's account",
        ),
        (CDK, "wafv2:CreateWebACL", UNALLOWED, "the role cdk-notes-cfn-exec", "infra/execution_policy.py"),
        (TASK, "dynamodb:Query", UNALLOWED, "the role NotesService-dev", "infra/stacks/service.py"),
        (TASK, "dynamodb:Query", f"{UNBOUNDED} dynamodb:Query action", "NotesService-dev", "infra/boundary.py"),
        (CDK, "sns:TagResource", f"{UNBOUNDED} sns:TagResource action", "is denied", "action: ask the account's"),
    ],
    ids=["GitHub", "a person", "an organization", "another account", "CDK", "a task", "a boundary", "another boundary"],
)
def test_a_denial_names_role_permission_and_where_to_grant_it(
    who: str, action: str, why: str, subject: str, next_step: str
) -> None:
    message = f"User: {who} is not authorized to perform: {action} on resource: arn:x {why} (Service: Sns, Status: 403)"
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "DoIt")
    summary = explain_aws_error(error)
    assert subject in summary
    assert f"{action} on arn:x" in summary
    assert next_step in summary
    assert causes(Evidence(), f"Table (AWS::DynamoDB::Table): {message}") == [summary], "CloudFormation may say so too"
    assert causes(Evidence(stopped=[stopped(f"ResourceInitializationError: {message}")])) == [summary], "or ECS"


def test_a_wrong_clock_is_not_taken_for_a_wrong_key() -> None:
    """After a computer with WSL has slept: https://github.com/microsoft/WSL/issues/4677."""
    message = "Signature expired: 20191110T104635Z is now earlier than 20191110T211309Z (20191110T211809Z - 5 min.)"
    for code in ("SignatureDoesNotMatch", "InvalidSignatureException"):
        error = ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")
        assert "clock is wrong: set it" in explain_aws_error(error)


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (f"denied: User: {DEV} is not authorized to perform: ecr:UploadLayerPart", "lacks ecr:UploadLayerPart"),
        ('error parsing HTTP 403 response body: unexpected end of JSON input: ""', "lack ecr:BatchCheckLayer"),
        (
            "current credentials could not be used to assume 'arn:aws:iam::1:role/notes-cdk-deploy', but are for",
            "lack sts:AssumeRole on arn:aws:iam::1:role/notes-cdk-deploy",
        ),
        ("denied: requested access to the resource is denied", ""),
    ],
    ids=["docker push", "docker push without a reason", "cdk deploy", "no denial by IAM"],
)
def test_a_denial_is_recognized_in_the_output_of_a_tool(text: str, lacks: str) -> None:
    assert lacks in (explain_denial(text) or "")
    assert bool(lacks) is bool(explain_denial(text))
