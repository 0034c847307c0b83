"""Turns what was seen of a failed deployment into its causes: one small function for each kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from infra.release.evidence import Evidence, StoppedTask

_LOG_LINES = 20
_BALANCER_SAYS = re.compile(r"unhealthy in .*\(reason (.*?)\)\.?$")
_NO_ANSWER = "Health checks failed"
_PULLING = ("CannotPull", "pull image", "manifest unknown")
_KILLED = 137  # 128 + SIGKILL


def image_missing(evidence: Evidence) -> Iterator[str]:
    for reason in _reasons(evidence, *_PULLING):
        yield f"the image cannot be pulled: {reason}"


def not_initialized(evidence: Evidence) -> Iterator[str]:
    for reason in _reasons(evidence, "ResourceInitializationError", "AccessDenied", but_not=_PULLING):
        yield f"the task gets no secret, log stream or network: {reason}"


def out_of_memory(evidence: Evidence) -> Iterator[str]:
    for reason in _reasons(evidence, "OutOfMemory"):
        yield f"the container needs more memory than the stage gives it (Stage.memory): {reason}"


def crashed(evidence: Evidence) -> Iterator[str]:
    """The container ended by itself; with 0, because its command is not a server."""
    codes = Counter(
        (container.name, container.exit_code)
        for task in evidence.stopped.values()
        if task.stop_code == "EssentialContainerExited" and "OutOfMemory" not in task.everything_said
        for container in task.containers
        if container.exit_code is not None
    )
    for (name, code), times in codes.items():
        hint = " (killed: out of memory, or by hand)" if code == _KILLED else ""
        yield f"the container {name} exits by itself: exit code {code}{hint}, {_tasks(times)}"


def unhealthy(evidence: Evidence) -> Iterator[str]:
    """The balancer's words tell a wrong answer from a late one and from none."""
    reasons = {match[1] for event in evidence.events for match in _BALANCER_SAYS.finditer(event)} | evidence.unhealthy
    reasons = {reason for reason in reasons if "deregistration" not in reason}  # how every target ends
    if len(reasons) > 1:
        reasons.discard(_NO_ANSWER)  # the balancer's first, vague word for what it then tells in detail
    for reason in sorted(reasons):
        if "codes" in reason:
            yield f"the health check gets the wrong answer: {reason}"
        elif "timed out" in reason:
            yield f"the health check gets no answer in time: {reason}"
        elif reason == _NO_ANSWER:
            yield f"nothing answers the health check: {reason} (does the container listen on its port?)"
        else:
            yield f"the health check fails: {reason}"
    if not reasons and any("health checks" in task.reason for task in evidence.stopped.values()):
        yield "tasks fail the balancer's health check"


def alarmed(evidence: Evidence) -> Iterator[str]:
    for reason in evidence.rollouts_failed.values():
        if "alarm" in reason.lower():
            yield f"an alarm rolled the deployment back: {reason}"


def no_capacity(evidence: Evidence) -> Iterator[str]:
    placed = [event for event in evidence.events if "unable to place a task" in event]
    if placed:
        yield f"no task can be placed: {placed[-1]}"


KINDS: tuple[Callable[[Evidence], Iterable[str]], ...] = (
    image_missing,
    not_initialized,
    out_of_memory,
    crashed,
    unhealthy,
    alarmed,
    no_capacity,
)


def explain(evidence: Evidence, stack_failures: Sequence[str]) -> list[str]:
    """Return lines for the person who released: causes first, then what CloudFormation, ECS and the tasks said."""
    causes = [cause for kind in KINDS for cause in kind(evidence)]
    lines = [f"cause: {cause}" for cause in dict.fromkeys(causes)]
    lines += [f"CloudFormation: {reason}" for reason in stack_failures]
    lines += [f"ECS: {reason}" for reason in dict.fromkeys(evidence.rollouts_failed.values())]
    if not causes:
        lines += [f"service event: {event}" for event in evidence.events[-5:]]
    if evidence.blind:
        lines.append(f"watching the deployment failed at last: {evidence.blind}")
    return lines + _last_words(list(evidence.stopped.values()))


def _reasons(evidence: Evidence, *words: str, but_not: tuple[str, ...] = ()) -> list[str]:
    """Return what was said of stopped tasks with one of these words, each once, with the number of tasks."""
    counted = Counter(
        said
        for task in evidence.stopped.values()
        for said in dict.fromkeys(
            [*(container.reason for container in task.containers if container.reason), task.reason]
        )
        if any(word in said for word in words) and not any(word in said for word in but_not)
    )
    return [f"{reason} ({_tasks(times)})" for reason, times in counted.items()]


def _last_words(stopped: list[StoppedTask]) -> list[str]:
    """Return how the last task ended, and its log: the last that has one."""
    if not stopped:
        return []
    task = next((task for task in reversed(stopped) if task.log_lines), stopped[-1])
    lines = [f"task {task.id}: {task.ending}"]
    if not task.log_lines:
        return [*lines, f"task {task.id} wrote no log line"]
    return [*lines, f"last log lines of task {task.id}:", *(f"  {line}" for line in task.log_lines[-_LOG_LINES:])]


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"
