"""Errors that end a command, as one hierarchy. Only `release.command` turns them into exit statuses."""

from __future__ import annotations


class ReleaseError(Exception):
    """`summary` is one line with the problem and the next step. `details` are supporting lines."""

    def __init__(self, summary: str, *details: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = details


class NotReadyError(ReleaseError):
    """Something is missing on this machine or in the account; nothing was changed."""


class CommandError(ReleaseError):
    """A tool exited with a status other than 0; `details` are the last lines of its output."""


class NotReleasableError(ReleaseError):
    """The image must not be released to this stage."""


class DeploymentError(ReleaseError):
    """CloudFormation or ECS failed; `details` are the causes and the evidence."""


class NotVerifiedError(ReleaseError):
    """The deployment succeeded, but another image runs or the API doesn't respond as expected."""


class StoreUnavailableError(NotVerifiedError):
    """The service responds, but reports that its store doesn't."""


class AwsError(ReleaseError):
    """An AWS call was denied or failed."""
