"""Everything that can end a release, as one hierarchy.

ReleaseError              a failure that the command can explain: one summary, and what backs it up
├── NotReadyError         preflight: something is missing here or in the account, and nothing was changed
├── CommandError          a tool (git, docker, cdk) ended badly
├── NotReleasableError    the image is not in the registry, not proven, or its scan refuses it
├── DeploymentError       CloudFormation or ECS gave up or rolled back
├── NotVerifiedError      everything is deployed, and yet what runs is not what was asked for
│   └── StoreSilentError  what runs is right, and its store does not answer it
└── AwsError              an AWS call was refused or did not come through
"""

from __future__ import annotations


class ReleaseError(Exception):
    """`summary` is one line that says what failed and what to do; `details` are the lines that back it up."""

    def __init__(self, summary: str, *details: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = details


class NotReadyError(ReleaseError):
    """Something is missing on this machine or in the account; nothing was changed."""


class CommandError(ReleaseError):
    """A tool ended with a status other than zero; `details` are the last lines that it printed."""


class NotReleasableError(ReleaseError):
    """The image must not go to this stage."""


class DeploymentError(ReleaseError):
    """CloudFormation or ECS gave up; `details` are the causes, each followed by its evidence."""


class NotVerifiedError(ReleaseError):
    """The deployment went through, but what runs or answers is not what was released."""


class StoreSilentError(NotVerifiedError):
    """The service answers that its store does not."""


class AwsError(ReleaseError):
    """An AWS call was refused, or AWS could not be reached."""
