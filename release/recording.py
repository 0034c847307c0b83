"""Records what AWS said during `make confirm`, for the tests of explanations: only these fields, without IDs.

Each check has CloudFormation's reasons (`stack`), ECS's reasons for failed deployments (`rollouts`), the service's
`events`, and the stop code, reasons and exit code of stopped `tasks`. The log is not recorded: it is the workload's.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from release.evidence import Evidence, StoppedTask

_IDS = {
    r"arn:[^\s,;)\"']+": "ARN",
    r"(?:https?://)?(?:[\w-]+\.)+(?:amazonaws\.com|cloudfront\.net)[^\s,;)\"']*|\blocalhost:\d+": "HOST",
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b": "ADDRESS",
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b|\b[a-z]+-[0-9a-f]{8,}\b|(?<=ecs-svc/)\d+": "ID",
    r"(?<![\w.])/(?:home|root|tmp|Users|var|work)\b[^\s,;)\"']*": "PATH",
}
"""Patterns of what identifies an account, a resource or a machine, and their replacements."""


def record(evidence: Evidence, stack_failures: Sequence[str]) -> dict[str, Any]:
    return {
        "stack": without_ids(stack_failures),
        "rollouts": without_ids(evidence.rollouts_failed),
        "events": without_ids(evidence.events),
        "tasks": [[task.stop_code, without_ids(task.reasons), task.exit_code] for task in evidence.stopped],
    }


def replay(recording: dict[str, Any]) -> Evidence:
    """Return the evidence of a recording, to be explained again."""
    tasks = [StoppedTask("ID", code, tuple(reasons), exit_code) for code, reasons, exit_code in recording["tasks"]]
    return Evidence(recording["events"], recording["rollouts"], tasks)


def without_ids(texts: Iterable[str]) -> list[str]:
    """Return each text once, without what identifies anything."""
    cleaned = list(texts)
    for pattern, replacement in _IDS.items():
        cleaned = [re.sub(pattern, replacement, text) for text in cleaned]
    return list(dict.fromkeys(cleaned))
