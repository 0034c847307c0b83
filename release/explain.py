"""Explains a failed release: causes with the next step, then the evidence.

docs/failures.md lists the causes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from infra.permissions import STACK_DEPLOYER, TRUSTS
from infra.stages import ACCESS_STACK, BOOTSTRAP_QUALIFIER
from release.errors import AwsError
from release.watch import Evidence, StoppedTask


@dataclass(frozen=True)
class Case:
    """A pattern of AWS's messages, with its meaning and the next step."""

    pattern: re.Pattern[str]
    meaning: str


def _case(pattern: str, meaning: str) -> Case:
    return Case(re.compile(pattern, re.IGNORECASE), meaning)


ARCHITECTURE = _case(
    r"exec format error|descriptor matching platform|no matching manifest",
    "the image is built for another CPU architecture: Stage.architecture in infra/stages.py must be that of the stage"
    " that built it",
)
MEMORY = _case(
    r"out ?of ?memory",
    "the container ran out of memory: raise Stage.memory in infra/stages.py, or fix what uses it",
)
_NO_NETWORK = r"i/o timeout|RequestError|RequestCanceled|deadline exceeded|connection refused|no such host"
CASES = (
    ARCHITECTURE,
    MEMORY,
    _case(
        rf"(CannotPull|ResourceInitializationError).*({_NO_NETWORK})",
        "the task can't reach AWS's APIs: check Stage.egress, routes and security groups; `make drift` shows changes"
        " made by hand",
    ),
    _case(
        r"(CannotPull|ResourceInitializationError).*(403 Forbidden|denied|not authorized|no basic auth)",
        "the execution role lacks a permission: check infra/stacks/service.py and, for an image in another account, the"
        " repository's policy; `make drift` shows changes made by hand",
    ),
    _case(
        r"can't find the specified secret|secrets.*ResourceNotFoundException",
        "a secret is missing: restore it with `aws secretsmanager restore-secret` within 30 days",
    ),
    _case(
        r"CannotPull.*(not found|manifest unknown|does not exist)",
        "the image is no longer in the registry: run the release again to build it, or release another TAG",
    ),
    _case(
        r"logger args.*does not exist",
        "the log group is missing: create it again with `aws logs create-log-group`, then run the release again",
    ),
    _case(
        r"reached the limit on|maximum number of|limit ?exceeded",
        "a quota of the account is exhausted: destroy previews (make reap), or request an increase in Service Quotas",
    ),
    _case(
        r"capacity is unavailable",
        "AWS has no capacity right now: run the release again later, or lower Stage.spot_share",
    ),
    _case(
        r"CannotPull|ResourceInitializationError|unable to place a task",
        "ECS can't start the task: see the reason below",
    ),
    _case(
        r"security token included in the request is expired|ExpiredToken",
        "the AWS credentials have expired: sign in again (aws sso login), then run the release again",
    ),
)
"""More specific patterns come first."""
_ALARMS = re.compile(r"alarm\(s\)(?: detected:)? ([\w-]+(?:, [\w-]+)*)")
_TARGET_REASON = re.compile(r"unhealthy in .*\(reason (.*?)\)\.?$")
_KILLED = 137  # 128 + SIGKILL
_ERRORS, _EVENTS = 3, 5


def explain(evidence: Evidence, stack_failures: Sequence[str]) -> list[str]:
    """Return the causes of a failed deployment, then the messages of CloudFormation, ECS and the log."""
    rollouts = list(dict.fromkeys(evidence.rollouts_failed.values()))
    causes = _causes(evidence, [*rollouts, *stack_failures])
    lines = [f"cause: {cause}" for cause in causes]
    lines += [f"CloudFormation: {reason}" for reason in stack_failures]
    lines += [f"ECS: {reason}" for reason in rollouts if reason.rstrip(".") not in " ".join(stack_failures)]
    lines += [f"load balancer: target is unhealthy: {reason}" for reason in _unhealthy_reasons(evidence)]
    stopped = list(evidence.stopped.values())
    failed = [task for task in stopped if task.failed] or ([] if causes else stopped)
    if failed:
        lines += _describe_stopped_task(failed)
    elif evidence.errors:
        lines.append("last errors in the log:")
        lines += [f"  {line}" for line in list(dict.fromkeys(map(readable, evidence.errors)))[-_ERRORS:]]
    if not failed:
        lines += [f"service event: {event}" for event in evidence.events[-_EVENTS:]]
    if evidence.failure:
        lines.append(
            f"some evidence is missing, because AWS could not be polled: {explain_aws_error(evidence.failure).summary}"
        )
    return lines


def _causes(evidence: Evidence, failures: Sequence[str]) -> list[str]:
    """Interpret the evidence. CloudFormation's reasons only count if there are no others."""
    reasons = [reason for task in evidence.stopped.values() for reason in task.reasons]
    logged = [line for task in evidence.stopped.values() for line in task.log_lines]
    unplaced = [event for event in evidence.events if "unable to place a task" in event]
    causes = [
        *_recognized(CASES, reasons),
        *_recognized((ARCHITECTURE, MEMORY), logged),
        *_recognized(CASES, unplaced[-1:]),
    ]
    if not causes:
        causes = [*_crashes(evidence), *_failed_health_checks(evidence)]
    causes += store_causes(evidence.errors)
    alarms = [match[1] for failure in failures if (match := _ALARMS.search(failure))]
    causes += [f"an alarm rolled the deployment back: look up {names} in docs/operations.md" for names in alarms]
    if not causes:
        denials = [denial for failure in failures if (denial := explain_denial(failure))]
        causes = (denials or list(_recognized(CASES, failures)))[:1]
    return list(dict.fromkeys(causes))


def _recognized(cases: Iterable[Case], texts: Iterable[str]) -> Iterator[str]:
    for text in dict.fromkeys(texts):
        meaning = next((case.meaning for case in cases if case.pattern.search(text)), None)
        if meaning:
            yield meaning


def _crashes(evidence: Evidence) -> Iterator[str]:
    """Yield each exit of a container with its last error. Status 0 means that its command is not a server."""
    ended = [task for task in evidence.stopped.values() if task.stop_code == "EssentialContainerExited"]
    error = next((error for task in reversed(ended) if (error := last_error(task.log_lines))), None)
    for (name, code), times in Counter(item for task in ended for item in task.exit_codes.items()).items():
        killed = " (killed)" if code == _KILLED else ""
        tasks = "1 task" if times == 1 else f"{times} tasks"
        why = error or "see its last log lines"
        yield f"the container {name} exits with status {code}{killed}, {tasks}: {why}"


def _failed_health_checks(evidence: Evidence) -> Iterator[str]:
    """Distinguish a wrong response, a slow one and none."""
    stopped = evidence.stopped.values()
    if any(task.stop_code == "EssentialContainerExited" for task in stopped):
        return
    reasons = _unhealthy_reasons(evidence)
    for reason in reasons:
        if "codes" in reason:
            yield f"/healthz responds with the wrong status: {reason}; the task's log says why"
        elif "timed out" in reason:
            yield f"/healthz responds too slowly: {reason}; check Stage.cpu and the work done at start-up"
        else:
            yield f"nothing responds to the health check: {reason}; check the port in the Dockerfile's CMD"
    if not reasons and any(task.failed_health_checks for task in stopped):
        yield "tasks fail the load balancer's health check: see their log"


def _unhealthy_reasons(evidence: Evidence) -> list[str]:
    """Return the load balancer's reasons, without the generic one if there are more precise ones."""
    reasons = {match[1] for event in evidence.events for match in _TARGET_REASON.finditer(event)} | evidence.unhealthy
    reasons = {reason for reason in reasons if "deregistration" not in reason}
    return sorted(reasons - {"Health checks failed"} or reasons)


def _describe_stopped_task(stopped: Sequence[StoppedTask]) -> list[str]:
    """Describe how one task stopped, with its last log lines. Prefer a task with log lines and exit codes."""
    task = max(reversed(stopped), key=lambda task: (bool(task.log_lines), bool(task.exit_codes)))
    lines = [f"task {task.id}: {task.ending}"]
    if not task.log_lines:
        return [*lines, f"task {task.id} wrote no log lines"]
    shown = [line for line in map(readable, task.log_lines) if line and not line.startswith((" ", "Traceback"))]
    return [*lines, f"last log lines of task {task.id}:", *(f"  {line}" for line in shown)]


# ---- the service's log ----

_STORE_FAILED = "the store failed: "
"""Prefix of the service's log message if its store fails."""
_NO_TABLE = re.compile(r"table (\S+): .*ResourceNotFoundException")
_RAISED = re.compile(r"(error: |[\w.]+(Error|Exception|Exit)\b)")
_PLACE = re.compile(r'File "(.+)", line (\d+)')
_TIME = re.compile(r"T(\d\d:\d\d:\d\d)")


def store_causes(log_lines: Iterable[str]) -> Iterator[str]:
    """Yield why the store fails according to the service's log: a permission, a missing table or DynamoDB itself."""
    messages = [str(_fields(line).get("message", "")) for line in log_lines]
    for error in dict.fromkeys(text.removeprefix(_STORE_FAILED) for text in messages if text.startswith(_STORE_FAILED)):
        if denial := explain_denial(error):
            yield denial
        elif match := _NO_TABLE.search(error):
            yield f"the table {match[1]} is missing: restore it from a backup under this name (docs/operations.md)"
        else:
            yield f"the store doesn't respond: {error}"


def last_error(log_lines: Iterable[str]) -> str | None:
    """Return the last error in a log: the end of a traceback, or a line that starts with `error: `."""
    errors = [_error_in(line) for line in log_lines]
    return next((error for error in reversed(errors) if error), None)


def readable(line: str) -> str:
    """Shorten a JSON log line to time, level and message; return other lines unchanged. `make logs` shows it all."""
    entry = _fields(line)
    if "message" not in entry:
        return line
    message = str(entry["message"])
    if "method" in entry:
        path = entry.get("path") or entry.get("route")
        message = f"{entry['method']} {path} {entry.get('status')} in {entry.get('duration_ms')} ms"
    error = _error_in(line)
    if error and error.partition(": ")[2].partition(" at ")[0] not in message:
        message += f" ({error})"
    time = _TIME.search(str(entry.get("time", "")))
    return " ".join([*([time[1]] if time else []), str(entry.get("level", "")), message])


def _error_in(line: str) -> str | None:
    traceback = str(_fields(line).get("traceback", "")).strip()
    if traceback:
        places = _PLACE.findall(traceback)
        return traceback.splitlines()[-1] + (f" at {places[-1][0]}:{places[-1][1]}" if places else "")
    return line.removeprefix("error: ") if _RAISED.match(line) else None


def _fields(line: str) -> dict[str, Any]:
    """Return the fields of a JSON line; empty for other lines."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


# ---- AWS's errors ----

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_EXPIRED_ADVICE = "the AWS credentials have expired: sign in again (aws sso login), then run this again"
_UNKNOWN_KEY = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"}
_DENIAL = re.compile(
    r"User: (?P<who>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<what>[^\s\"]+)\"?)?(?P<why>.*)",
)
"""IAM's message, common to all services. It names no resource if the action doesn't support any."""
_NOT_ASSUMED = re.compile(
    rf"could not be used to assume '(?P<role>arn:[^']*(?:/{STACK_DEPLOYER}|-file-publishing-role-[^']*))'"
)
"""Message of the CDK CLI, which then continues with the caller's credentials; later errors are consequences."""
_NO_BODY = "error parsing HTTP 403 response body: unexpected end of JSON input"
"""Docker's message if ECR denies BatchCheckLayerAvailability, because that response has no body."""
_DEPLOY_ACCESS = f"deploy {ACCESS_STACK} again (make bootstrap)"


def explain_aws_error(error: BotoCoreError | ClientError) -> AwsError:
    """Explain an error of boto3 and name the next step."""
    if isinstance(error, ClientError):
        return AwsError(_client_error(error))
    if isinstance(error, NoCredentialsError):
        return AwsError("no AWS credentials: sign in (aws sso login) and set AWS_PROFILE, or set AWS_ACCESS_KEY_ID")
    if isinstance(error, ProfileNotFound):
        return AwsError(f"{error}: set AWS_PROFILE to an existing profile")
    if isinstance(error, TokenRetrievalError | SSOTokenLoadError | UnauthorizedSSOTokenError):
        return AwsError(f"{_EXPIRED_ADVICE} ({error})")
    return AwsError(f"AWS is unreachable: {error}")


def _client_error(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "unknown")
    if code in _EXPIRED:
        return _EXPIRED_ADVICE
    if code in _UNKNOWN_KEY:
        return f"AWS does not accept these credentials ({code}): check AWS_PROFILE or AWS_ACCESS_KEY_ID"
    message = error.response.get("Error", {}).get("Message", str(error))
    return explain_denial(message) or f"AWS rejected {error.operation_name}: {code}: {message}"


def explain_denial(text: str) -> str | None:
    """Return who lacks which permission and where to grant it; None if the text is not about a permission."""
    assumed = _NOT_ASSUMED.search(text)
    if assumed or _NO_BODY in text:
        action = f"sts:AssumeRole on {assumed['role']}" if assumed else "ecr:BatchCheckLayerAvailability"
        return f"these credentials lack {action}: infra/permissions.py grants it to roles, so {_DEPLOY_ACCESS}"
    denial = _DENIAL.search(text)
    if not denial:
        return None
    subject, role = _principal(denial["who"])
    what = " on ".join(filter(None, (denial["action"], denial["what"])))
    if "explicit deny" in denial["why"]:
        return f"{subject} is denied {what}{denial['why'].rstrip('. ')}: ask the account's administrator"
    return f"{subject} lacks {what}: {_where_granted(role, denial['action'])}"


def _principal(arn: str) -> tuple[str, str]:
    """Return a principal's description, and its name if it is a role."""
    kind, *names = arn.rpartition(":")[2].split("/")
    if kind == "user":
        return f"the user {names[-1]}", ""
    if kind in {"assumed-role", "role"}:
        name = names[0] if kind == "assumed-role" else names[-1]  # role/PATH/NAME, assumed-role/NAME/SESSION
        return f"the role {name}", name
    return arn, ""


def _where_granted(role: str, action: str) -> str:
    """Return where to grant the permission. This project only manages its own roles."""
    trust = next((trust for trust in TRUSTS if trust.role == role), None)
    if trust and trust.grants(action):
        return f"infra/permissions.py grants it, so {_DEPLOY_ACCESS}"
    if trust:
        holders = ", ".join(other.role for other in TRUSTS if other.grants(action))
        return (
            f"infra/permissions.py grants it to {holders or 'no role'}; grant it to this role too and {_DEPLOY_ACCESS}"
        )
    if role == STACK_DEPLOYER:
        return f"infra/permissions.py lists the stacks that the CDK CLI may deploy; add this one and {_DEPLOY_ACCESS}"
    if role.startswith(f"cdk-{BOOTSTRAP_QUALIFIER}-"):
        return "infra/execution_policy.py limits what CloudFormation may do; change it and run `make bootstrap` again"
    if role.startswith("CommentsService-"):
        return "grant it in infra/stacks/service.py; `make drift` shows changes made by hand"
    return "ask for it to be granted; infra/permissions.py lists the permissions of a release"
