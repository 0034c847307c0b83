"""What AWS says when it does not do what a release wants, what that means, and what to do next.

Recorded texts of each are in tests/release/recorded.toml, with their sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A kind of message, and the one line that a person needs of it."""

    pattern: re.Pattern[str]
    meaning: str


def _known(pattern: str, meaning: str) -> Known:
    return Known(re.compile(pattern, re.IGNORECASE), meaning)


_PULL = r"CannotPull.*"
_SECRET = r"unable to pull secrets.*"  # noqa: S105  (AWS's words)
_NO_WAY = r"(i/o timeout|RequestError|RequestCanceled|deadline exceeded|connection refused|no such host)"

TASKS = (
    _known(
        r"descriptor matching platform|no matching manifest|exec format error",
        "the image is built for another processor than the stage's: make Stage.architecture in infra/stages.py the one"
        " of the stage that built it, or build it again",
    ),
    _known(
        _PULL + r"(403 Forbidden|denied|not authorized|no basic auth)",
        "the task may not pull the image: its execution role, or in another account the repository's policy, lacks a"
        " permission; `make drift` names what was changed by hand",
    ),
    _known(
        _PULL + _NO_WAY,
        "the task has no way to the registry: look at the routes and the security group of its subnets (Stage.egress in"
        " infra/stages.py), `make drift` names what was changed by hand",
    ),
    _known(
        _PULL + r"(not found|manifest unknown|does not exist)",
        "the registry no longer holds the image: release a commit that it holds, or run this again to build it",
    ),
    _known(_PULL + "|pull image", "the image cannot be pulled: the task's reason below says why"),
    _known(
        _SECRET + r"(can't find the specified secret|ResourceNotFoundException)",
        "a secret of the task is missing: restore it (aws secretsmanager restore-secret --secret-id …), within 30 days"
        " of its deletion; `make drift` names it",
    ),
    _known(
        r"failed to validate logger args.*does not exist",
        "the task's log group is missing: make one of that name again (aws logs create-log-group --log-group-name …),"
        " then run this again",
    ),
    _known(
        _SECRET + r"(AccessDenied|not authorized|is not allowed)",
        "the task's execution role lacks the permission below: grant it in infra/stacks/service.py; `make drift` names"
        " what was taken away by hand",
    ),
    _known(
        _SECRET + _NO_WAY,
        "the task has no way to AWS's APIs: look at the routes and the security group of its subnets (Stage.egress in"
        " infra/stages.py), `make drift` names what was changed by hand",
    ),
    _known("ResourceInitializationError", "the task gets no secret, log stream or network: its reason below says why"),
    _known(
        "OutOfMemory",
        "the container needs more memory than the stage gives it: raise Stage.memory in infra/stages.py, or mend what"
        " takes it",
    ),
)
"""Of tasks that did not start or were ended, the more telling first."""

EVENTS = (
    _known(
        r"reached the limit on the number of vCPUs",
        "the account's Fargate quota is used up: stop what is not needed (make reap), or ask for more: aws"
        " service-quotas request-service-quota-increase --service-code fargate --quota-code L-3032A538"
        " --desired-value …",
    ),
    _known(
        r"reached the limit on the number of tasks",
        "the account's quota of tasks is used up: stop what is not needed (make reap), or ask for more in the console"
        " of Service Quotas",
    ),
    _known(
        r"capacity is unavailable",
        "AWS has no room for the task just now: run this again in a while; a stage on Spot finds more with a lower"
        " spot_share in infra/stages.py",
    ),
    _known(r"unable to place a task", "no task can be placed: the event below says why"),
)
"""Of the service."""

STACKS = (
    _known(
        r"maximum number of VPCs",
        "the region holds as many VPCs as it may: destroy a preview that nobody looks at (make reap), or ask for more:"
        " aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE"
        " --desired-value …",
    ),
    _known(
        r"limit ?exceeded|maximum number of .* has been reached",
        "a quota of the account is used up: destroy a preview that nobody looks at (make reap), or ask for more in the"
        " console of Service Quotas",
    ),
    _known(
        r"security token included in the request is expired|ExpiredToken",
        "the AWS credentials have expired meanwhile: sign in again (aws sso login), then run this again",
    ),
)
"""Of CloudFormation and the CDK CLI."""


def meaning(kinds: tuple[Known, ...], said: str) -> str | None:
    """Return what a message means; None for one that is not of these kinds."""
    return next((kind.meaning for kind in kinds if kind.pattern.search(said)), None)
