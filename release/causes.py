"""Turns what was seen of a failed deployment into its causes: one small function for each kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from release import denials, known
from release.evidence import Evidence, StoppedTask
from release.readable import last_error, readable
from release.store import store_causes

_LOG_LINES = 20
_ERRORS_SHOWN = 3
_BALANCER_SAYS = re.compile(r"unhealthy in .*\(reason (.*?)\)\.?$")
_NO_ANSWER = "Health checks failed"
_WORKER_KILLED = re.compile(r"was sent SIGKILL! Perhaps out of memory")
_ALARMS = re.compile(r"alarm\(s\)(?: detected:)? ([\w-]+(?:, [\w-]+)*)")
_KILLED = 137  # 128 + SIGKILL


@dataclass(frozen=True)
class Cause:
    """Why a deployment failed."""

    meaning: str
    """What it was and what to do next, in one line."""
    said: str = ""
    """The words that it was told from, where they say more."""


def recognized(evidence: Evidence) -> Iterator[Cause]:
    """What AWS says of tasks that it could not start or had to end."""
    counted = Counter(
        said for task in evidence.stopped.values() for said in dict.fromkeys([*task.container_reasons, task.reason])
    )
    for said, times in counted.items():
        if meaning := known.meaning(known.TASKS, said):
            yield Cause(meaning, f"{said} ({_tasks(times)})")


def wrong_processor(evidence: Evidence) -> Iterator[Cause]:
    """Fargate starts the container, whose only words are the kernel's."""
    lines = [line for task in evidence.stopped.values() for line in task.log_lines if "exec format error" in line]
    for line in dict.fromkeys(lines):
        yield Cause(known.meaning(known.TASKS, line) or line, line)


def starved(evidence: Evidence) -> Iterator[Cause]:
    """The kernel takes a worker and leaves the container, whose server starts another one for ever."""
    if any(_WORKER_KILLED.search(line) for task in evidence.stopped.values() for line in task.log_lines):
        meaning = known.meaning(known.TASKS, "OutOfMemory") or ""
        yield Cause(meaning, "the kernel kills the server's workers, and the container goes on without")


def crashed(evidence: Evidence) -> Iterator[Cause]:
    """The container ended by itself; with 0, because its command is not a server."""
    ended = [
        task
        for task in evidence.stopped.values()
        if task.stop_code == "EssentialContainerExited" and not known.meaning(known.TASKS, task.everything_said)
    ]
    codes = Counter(
        (container.name, container.exit_code)
        for task in ended
        for container in task.containers
        if container.exit_code is not None
    )
    words = next((words for task in reversed(ended) if (words := last_error(task.log_lines))), None)
    for (name, code), times in codes.items():
        hint = " (killed: out of memory, or by hand)" if code == _KILLED else ""
        why = f": {words}" if words else "; its last log lines say why"
        yield Cause(f"the container {name} exits by itself with {code}{hint}, {_tasks(times)}{why}")


def unhealthy(evidence: Evidence) -> Iterator[Cause]:
    """The balancer's words tell a wrong answer from a late one and from none; of an exit they say nothing."""
    stopped = evidence.stopped.values()
    sick = any("health checks" in task.reason for task in stopped)
    if not sick and any(task.stop_code == "EssentialContainerExited" for task in stopped):
        return
    reasons = {match[1] for event in evidence.events for match in _BALANCER_SAYS.finditer(event)} | evidence.unhealthy
    reasons = {reason for reason in reasons if "deregistration" not in reason}  # how every target ends
    if len(reasons) > 1:
        reasons.discard(_NO_ANSWER)  # the balancer's first, vague word for what it then tells in detail
    for reason in sorted(reasons):
        if "codes" in reason:
            yield Cause(f"the health check gets the wrong answer: {reason}")
        elif "timed out" in reason:
            yield Cause(f"the health check gets no answer in time: {reason}")
        elif reason == _NO_ANSWER:
            yield Cause(f"nothing answers the health check: {reason} (does the container listen on its port?)")
        else:
            yield Cause(f"the health check fails: {reason}")
    if not reasons and sick:
        yield Cause("tasks fail the balancer's health check")


def store_silent(evidence: Evidence) -> Iterator[Cause]:
    for meaning in store_causes(evidence.errors):
        yield Cause(meaning)


def not_placed(evidence: Evidence) -> Iterator[Cause]:
    said = [event for event in evidence.events if "unable to place a task" in event]
    if said and (meaning := known.meaning(known.EVENTS, said[-1])):
        yield Cause(meaning, said[-1])


def alarmed(rollouts: Sequence[str]) -> Iterator[Cause]:
    """CloudFormation repeats ECS's words, and ECS forgets a deployment as soon as its tasks are gone."""
    for reason in rollouts:
        if match := _ALARMS.search(reason):
            yield Cause(f"an alarm rolled the deployment back: {match[1]}; docs/operations.md has a section on each")


KINDS: tuple[Callable[[Evidence], Iterable[Cause]], ...] = (
    recognized,
    wrong_processor,
    starved,
    crashed,
    unhealthy,
    store_silent,
    not_placed,
)


def explain(evidence: Evidence, stack_failures: Sequence[str]) -> list[str]:
    """Return lines for the person who released: causes first, then what CloudFormation, ECS and the tasks said."""
    rollouts = list(dict.fromkeys(evidence.rollouts_failed.values()))
    seen = [cause for kind in KINDS for cause in kind(evidence)]
    causes = list(dict.fromkeys([*seen, *alarmed([*rollouts, *stack_failures])]))
    if not causes:
        causes = [Cause(meaning) for said in stack_failures if (meaning := _of_a_stack(said))][:1]
    lines = []
    for cause in causes:
        lines += [f"cause: {cause.meaning}", *([f"  said: {cause.said}"] if cause.said else [])]
    lines += [f"CloudFormation: {reason}" for reason in stack_failures]
    told = " ".join(stack_failures)
    lines += [
        f"ECS: {said}" for said in dict.fromkeys(evidence.rollouts_failed.values()) if said.rstrip(".") not in told
    ]
    if not causes:
        lines += [f"service event: {event}" for event in evidence.events[-5:]]
    if evidence.blind:
        lines.append(f"watching the deployment failed at last: {evidence.blind}")
    failed = [task for task in evidence.stopped.values() if task.failed]
    if failed or not causes:
        return lines + _last_words(failed or list(evidence.stopped.values()))
    return lines + _last_errors(evidence.errors)


def _of_a_stack(said: str) -> str | None:
    return denials.explained(said) or known.meaning(known.STACKS, said)


def _last_words(stopped: list[StoppedTask]) -> list[str]:
    """Return how a task ended, and its log: the last that has one and was seen to its end."""
    if not stopped:
        return []
    task = max(reversed(stopped), key=lambda task: (bool(task.log_lines), task.has_ended))
    lines = [f"task {task.id}: {task.ending}"]
    if not task.log_lines:
        return [*lines, f"task {task.id} wrote no log line"]
    shown = readable(task.log_lines)[-_LOG_LINES:]
    return [*lines, f"last log lines of task {task.id}:", *(f"  {line}" for line in shown)]


def _last_errors(errors: Sequence[str]) -> list[str]:
    """Return what tasks said while no one of them ended by itself."""
    said = list(dict.fromkeys(readable(errors)))[-_ERRORS_SHOWN:]
    return ["last errors in the log:", *(f"  {line}" for line in said)] if said else []


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"
