"""Explains failed deployments: causes with the next step, then the evidence.

docs/failures.md lists the causes.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.config import WORKLOAD
from release.aws_errors import SIGN_IN, explain_denial, missing_evidence
from release.command import ROOT
from release.evidence import IMAGE_GONE, WRONG_PLATFORM, Evidence, StoppedTask

CAUSE = "cause: "
EXPLANATION = ROOT / "build" / "explanation.json"
LOGGED = {
    WRONG_PLATFORM: "the image is built for another CPU architecture: Stage.architecture in infra/stages.py must match"
    " that of the stage that built it",
    r"executable file not found|exec:? \S+: (no such file|permission denied)|: stat \S+: no such file": "the image"
    " can't run its command: check CMD in the Dockerfile, and that file's permissions and line endings",
    r"out ?of ?memory": "the container ran out of memory: raise Stage.memory in infra/stages.py, or fix what uses it",
}
"""Patterns of messages that also appear in the log of a task, with their meaning and the next step."""
_NO_NETWORK = (
    r"connection issue|i/o timeout|RequestError|RequestCanceled|deadline exceeded|connection refused|no such host"
)
_DENIED = r"403 Forbidden|denied|not authorized|no basic auth|has the permissions"
CASES = LOGGED | {
    rf"(CannotPull|ResourceInitializationError).*({_DENIED})": "the execution role lacks a permission: check"
    " infra/stacks/service.py and, for an image in another account, the repository's policy; `make drift` shows changes"
    " made by hand",
    r"can't find the specified secret|secrets.*(ResourceNotFoundException|marked for deletion)": "a secret is"
    " missing: restore it with `aws secretsmanager restore-secret` within 30 days",
    r"did not contain json key": "a secret lacks the JSON key that the task definition names: store it with `aws"
    " secretsmanager put-secret-value`",
    r"no space left on device": "the image is too large for the task's disk: make it smaller than 20 GB",
    IMAGE_GONE: "the image is no longer in the registry: deploy again to build it, or deploy another TAG",
    r"logger args.*does not exist": "the log group is missing: create it again with `aws logs create-log-group`, then"
    " deploy again",
    rf"(CannotPull|ResourceInitializationError).*({_NO_NETWORK})": "the task can't reach AWS's APIs: check"
    " Stage.egress, routes and security groups; `make drift` shows changes made by hand",
    r"reached the limit on|maximum number of|limit ?exceeded": "a quota of the account is exhausted: destroy a"
    " stage that nobody needs, or request an increase in Service Quotas",
    r"capacity is unavailable": "AWS has no capacity right now: deploy again later",
    r"Cannot(Pull|Create|Start)|ResourceInitializationError|unable to place a task": "ECS can't start the task: see the"
    " reason below",
    r"security token included in the request is expired|ExpiredToken": SIGN_IN,
    r"hook\(s\) failed|hook \S+ failed": "a CloudFormation hook of the account rejects the change: fix what its message"
    " below names, or ask the account's administrator",
    r"(?<!\]) already exists": "a resource of this name exists outside of the stack: import it (`cdk import`), or"
    " delete it if nothing needs it",
    r"is in DELETE_FAILED state": "an earlier deletion of the stack failed: run `make destroy` until it succeeds, then"
    " deploy again",
    r"Template (format )?error|Failed to create change ?set \S+: .|\(at /Resources/": "CloudFormation rejects the"
    " template: fix in infra/ what its message below names",
}
"""More specific patterns come first."""
_ALARMS = re.compile(r"alarm\(s\)(?: detected:)? ([\w-]+(?:, [\w-]+)*)")
_TARGET_REASON = re.compile(r"unhealthy in .*\(reason (.*?)\)\.?$")
_ERRORS, _EVENTS = 3, 5


def explain(evidence: Evidence, stack_failures: Sequence[str]) -> list[str]:
    """Return the causes of a failed deployment, then the messages of CloudFormation, ECS and the log."""
    rollouts = list(dict.fromkeys(evidence.rollouts_failed))
    lines = [f"{CAUSE}{cause}" for cause in dict.fromkeys(_causes(evidence, [*rollouts, *stack_failures]))]
    lines += [f"release: cancelled the update: {evidence.cancelled}"] if evidence.cancelled else []
    lines += [f"CloudFormation: {reason}" for reason in stack_failures]
    lines += [f"ECS: {reason}" for reason in rollouts if reason.rstrip(".") not in " ".join(stack_failures)]
    lines += [f"load balancer: target is unhealthy: {reason}" for reason in _unhealthy_reasons(evidence)]
    if evidence.stopped:
        lines += _describe_stopped_task(evidence.stopped)
    else:
        lines += [f"service event: {event}" for event in evidence.events[-_EVENTS:]]
        errors = list(dict.fromkeys(map(readable, evidence.errors)))[-_ERRORS:]
        lines += ["last errors in the log:", *(f"  {line}" for line in errors)] if errors else []
    if evidence.failure:
        lines += [missing_evidence(evidence.failure)]
    return lines


def publish_explanation(stage: str, summary: str, lines: Sequence[str]) -> None:
    """Write an explanation of a failed deployment as JSON to build/, and to the summary of the GitHub Actions job.

    The JSON has `stage`, `summary`, `causes` and `evidence`, the last two as lists of strings.
    """
    causes = [line.removeprefix(CAUSE) for line in lines if line.startswith(CAUSE)]
    evidence = [line for line in lines if not line.startswith(CAUSE)]
    EXPLANATION.parent.mkdir(exist_ok=True)
    explanation = {"stage": stage, "summary": summary, "causes": causes, "evidence": evidence}
    EXPLANATION.write_text(json.dumps(explanation, indent=2) + "\n")
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a") as stream:
            shown = "\n".join(evidence).replace("`" * 3, "")
            stream.write(f"### {summary}\n\n" + "".join(f"- {cause}\n" for cause in causes))
            stream.write(f"\n```text\n{shown}\n```\n")


def _causes(evidence: Evidence, failures: Sequence[str]) -> list[str]:
    """Interpret the evidence. CloudFormation's reasons only count if there are no others."""
    reasons = [reason for task in evidence.stopped for reason in task.reasons]
    logged = [line for task in evidence.stopped for line in task.log_lines]
    crashed = any(task.crashed for task in evidence.stopped)  # tasks start, even if some lack Spot capacity
    unplaced = [event for event in evidence.events if "unable to place a task" in event and not crashed]
    causes = [*_recognized([*reasons, *unplaced[-1:]]), *_recognized(logged, LOGGED)]
    causes = causes or [*_crashes(evidence), *_failed_health_checks(evidence)]
    causes += [*_exceptions(evidence.errors), *outage_causes(evidence.errors)]
    alarms = [match[1] for failure in failures if (match := _ALARMS.search(failure))]
    causes += [f"an alarm rolled the deployment back: look up {names} in docs/operations.md" for names in alarms]
    if not alarms and any("alarm detected" in text for text in (*evidence.events, *failures)):
        causes.append(
            "an alarm rolled the deployment back: find its name with `make status` or in the history of CloudWatch's"
            " alarms, and look it up in docs/operations.md"
        )
    causes = causes or [*_recognized(failures)][:1]
    return causes or ([f"{evidence.cancelled}: see ECS's events below"] if evidence.cancelled else [])


def _recognized(texts: Iterable[str], cases: Mapping[str, str] = CASES) -> Iterator[str]:
    """Yield the meaning of each text: the missing permission, or that of the first pattern that it matches."""
    for text in dict.fromkeys(texts):
        meanings = (meaning for pattern, meaning in cases.items() if re.search(pattern, text, re.IGNORECASE))
        if meaning := explain_denial(text) or next(meanings, None):
            yield meaning


def _crashes(evidence: Evidence) -> Iterator[str]:
    """Yield each exit of a container with its last error. Status 0 means that its command is not a server."""
    ended = [task for task in evidence.stopped if task.crashed]
    errors = [error for task in ended for line in task.log_lines if (error := _error_in(line))]
    why = errors[-1] if errors else "see its last log lines"
    for code, times in Counter(task.exit_code for task in ended if task.exit_code is not None).items():
        often = f", {times} times" if times > 1 else ""
        yield f"the container {WORKLOAD.container} exits with status {code}{often}: {why}"


def _exceptions(log_lines: Iterable[str]) -> Iterator[str]:
    """Yield missing permissions, and other unexpected errors with place, route and number, the most frequent first."""
    raised = Counter(
        (error, f" in {entry['method']} {entry['route']}" if "method" in entry and "route" in entry else "")
        for line in log_lines
        if (entry := _fields(line) or {"message": line}) and not _is_outage(entry) and (error := _error_in(line))
    )
    for (error, route), times in raised.most_common(_ERRORS):
        yield explain_denial(error) or f"{error}{route}" + (f", {times} times" if times > 1 else "")


def _failed_health_checks(evidence: Evidence) -> Iterator[str]:
    """Distinguish a wrong response, a slow one and none. A container that exits gives none either."""
    if any(task.crashed for task in evidence.stopped):
        return
    path, reasons = WORKLOAD.health_path, _unhealthy_reasons(evidence)
    for reason in reasons:
        if "codes" in reason:
            yield f"{path} responds with the wrong status: {reason}; see the task's log"
        elif "timed out" in reason:
            yield f"{path} responds too slowly: {reason}; check Stage.cpu and the work done at start-up"
        else:
            port = f"the port in the Dockerfile's CMD must be {WORKLOAD.port}, as in infra/workload.py"
            yield f"nothing responds to the health check: {reason}; {port}"
    if not reasons and any(task.failed_health_checks for task in evidence.stopped):
        yield "tasks fail the load balancer's health check: see the tasks' log"


def _unhealthy_reasons(evidence: Evidence) -> list[str]:
    """Return the load balancer's reasons, without the generic one if there are more precise ones."""
    reasons = {match[1] for event in evidence.events if (match := _TARGET_REASON.search(event))}
    return sorted(reasons - {"Health checks failed"} or reasons)


def _describe_stopped_task(stopped: Sequence[StoppedTask]) -> list[str]:
    """Describe how one task stopped, with its last log lines. Prefer one that failed, with log lines."""
    failed = [task for task in stopped if task.failed] or stopped
    task = max(reversed(failed), key=lambda task: (bool(task.log_lines), task.exit_code is not None))
    shown = [line for line in map(readable, task.log_lines) if line and not line.startswith((" ", "Traceback"))]
    heading = f"last log lines of task {task.id}:" if shown else f"task {task.id} wrote no log lines"
    return [f"task {task.id}: {task.ending}", heading, *(f"  {line}" for line in shown)]


# ---- the service's log ----

_RAISED = re.compile(r"(error: |botocore\.errorfactory\.|[\w.]+(Error|Exception|Exit)\b)")
_PLACE = re.compile(r'File "(.+)", line (\d+)')


def outage_causes(log_lines: Iterable[str]) -> Iterator[str]:
    """Yield why something that the application depends on fails: a permission, or what the workload knows about it."""
    prefix, causes = WORKLOAD.failures.outage or "", WORKLOAD.failures.causes
    entries = [_fields(line) or {"message": line} for line in log_lines]
    for message in dict.fromkeys(str(entry["message"]) for entry in entries if _is_outage(entry)):
        error = message.removeprefix(prefix)
        known = (found.expand(cause) for pattern, cause in causes.items() if (found := re.search(pattern, error)))
        yield explain_denial(error) or next(known, message)


def _is_outage(entry: Mapping[str, Any]) -> bool:
    prefix = WORKLOAD.failures.outage
    return prefix is not None and str(entry.get("message", "")).startswith(prefix)


def readable(line: str) -> str:
    """Shorten a JSON log line to level, message and error; return other lines unchanged."""
    entry = _fields(line)
    if "message" not in entry:
        return line
    message = str(entry["message"])
    if "status" in entry:
        message = f"{entry['method']} {entry.get('path')} {entry.get('status')} in {entry.get('duration_ms')} ms"
    error = _error_in(line)
    if error and error.partition(": ")[2].partition(" at ")[0] not in message:
        message += f" ({error})"
    return f"{entry.get('level')}: {message}"


def _error_in(line: str) -> str | None:
    """Return the error of a log line: the end of its traceback with the last place in the application's own files, or
    the line itself if it looks like an error."""
    traceback = str(_fields(line).get("traceback", "")).strip()
    if traceback:
        places = [f" at {file}:{number}" for file, number in _PLACE.findall(traceback)]
        own = [place for place in places if "/lib/python" not in place]
        return traceback.splitlines()[-1] + (own or places or [""])[-1]
    return line.removeprefix("error: ") if _RAISED.match(line) else None


def _fields(line: str) -> dict[str, Any]:
    """Return the fields of a JSON line; empty for other lines."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
