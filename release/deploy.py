"""Deploys stacks with the CDK CLI, showing what happens to them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from types import MappingProxyType

from infra.stages import BOOTSTRAP_QUALIFIER, DIGEST_PARAMETER, TOOLKIT_STACK
from release import denials, stacks
from release.aws import Aws
from release.errors import CommandError, DeploymentError
from release.events import Events
from release.tools import LAST_LINES, run

_AFTERMATH = {
    "ROLLBACK_COMPLETE": "the first deployment failed, and was removed again",
    "UPDATE_ROLLBACK_COMPLETE": "the deployment failed and was rolled back: what ran before still runs",
    "UPDATE_ROLLBACK_FAILED": "the deployment failed, and so did its rollback",
}
_DIFF_CHATTER = (
    *("start: ", "success: ", "Hold on while"),
    *("current credentials could not be used to assume", "Lookup role "),
)
"""The last ones come of a role that may only read, with whose own permissions the CLI then goes on."""
_DIFFERENCES = re.compile(r"Number of stacks with differences: (\d+)")
_REASONS_SHOWN = 3
_OVERTAKEN = re.compile(
    r"_IN_PROGRESS state and can ?not be updated|InvalidChangeSetStatus|OperationInProgress|ChangeSetNotFound"
    r"|ChangeSet \[\S+\] (?:does not exist|already exists)|execution status of \[OBSOLETE\]"
)
"""What CloudFormation answers when another release was a moment faster: it takes one update of a stack at a time, and
no change set that was made before another update."""
_VALIDATED = {"CDK_VALIDATION": "false"}
"""With a digest: deploying the stacks before the service has validated the same templates, and a second one
would take two seconds."""
_ATTEMPTS = 5
"""To get a turn, where several releases want the same stack."""


class Cdk:
    """The CDK CLI, pinned by package.json, for one stage."""

    def __init__(self, aws: Aws, note: Callable[[str], None]) -> None:
        self._aws = aws
        self._note = note

    def deploy(self, *names: str, digest: str | None = None) -> None:
        """Deploy this commit's templates, the service with the image of `digest` or else with the one that runs.

        Raises DeploymentError with CloudFormation's reasons.
        """
        options = [*self._image(digest), "--require-approval=never", "--progress=events"]
        for attempt in range(1, _ATTEMPTS + 1):
            for name in names:
                stacks.settle(self._aws.cloudformation, name, self._note)
            marks = {name: stacks.newest_event(self._aws.cloudformation, name) for name in names}
            try:
                self._run("deploy", *names, *options, variables=_VALIDATED if digest else {})
            except CommandError as error:
                if attempt == _ATTEMPTS or not _OVERTAKEN.search("\n".join(error.details)):
                    raise self._failed(marks, error) from error
                self._note("another release was faster; waiting for it to end, then trying again")
            else:
                self._tell_of_others(marks)
                return

    def _tell_of_others(self, marks: Mapping[str, str | None]) -> None:
        """The CLI waits for its turn too, and says nothing of it."""
        for name, mark in marks.items():
            if stacks.updates_since(self._aws.cloudformation, name, mark) > 1:
                self._note(f"another release has changed {name} at the same time: one waited for the other")

    def _failed(self, marks: Mapping[str, str | None], error: CommandError) -> DeploymentError:
        """Return the failure with CloudFormation's reasons, or else the last that the CLI said."""
        cloudformation = self._aws.cloudformation
        reasons = [
            reason for name, mark in marks.items() for reason in stacks.failures_since(cloudformation, name, mark)
        ]
        if not reasons and (denial := denials.explained("\n".join(error.details))):
            return DeploymentError(denial, *(line for line in error.details if line and not denials.explained(line)))
        return DeploymentError(self._aftermath(marks), *(reasons[:_REASONS_SHOWN] or error.details))

    def bootstrap(self, policy: str) -> None:
        """Make CDK's own bucket and roles, CloudFormation's held to the policy with this ARN."""
        place = f"aws://{self._aws.account}/{self._aws.region}"
        options = [f"--qualifier={BOOTSTRAP_QUALIFIER}", f"--toolkit-stack-name={TOOLKIT_STACK}", "--no-color"]
        command = ["cdk", "bootstrap", place, "--app=", f"--cloudformation-execution-policies={policy}", *options]
        run(command, environment=self._aws.environment, on_line=Events(self._note))

    def destroy(self, name: str) -> None:
        """Delete a stack; raise DeploymentError with CloudFormation's reasons."""
        cloudformation = self._aws.cloudformation
        mark = stacks.newest_event(cloudformation, name)
        try:
            self._run("destroy", name, "--force")
        except CommandError as error:
            reasons = stacks.failures_since(cloudformation, name, mark)
            raise DeploymentError(f"cdk could not destroy {name}", *(reasons or error.details)) from error

    def differs(self, *names: str, digest: str | None = None) -> bool:
        """Show what a deployment would change, and return whether it would change anything.

        `digest` is the running image. Without it, the CLI can't create a change set and compares the templates only.
        """
        try:
            lines = self._run("diff", *names, *self._image(digest), on_line=self._show_difference)
        except CommandError as error:
            said = [line for line in error.details if not line.startswith(_DIFF_CHATTER)]
            if denial := denials.explained("\n".join(said)):
                raise DeploymentError(denial) from error
            raise
        for line in lines:
            if match := _DIFFERENCES.search(line):
                return match[1] != "0"
        raise CommandError("cdk diff did not say how many stacks differ", *lines[-LAST_LINES:])

    def _image(self, digest: str | None) -> list[str]:
        """Return the arguments that set the image of the service."""
        return [f"--parameters={self._aws.stage.service_stack}:{DIGEST_PARAMETER}={digest}"] if digest else []

    def _run(
        self,
        command: str,
        *arguments: str,
        variables: Mapping[str, str] = MappingProxyType({}),
        on_line: Callable[[str], None] | None = None,
    ) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="comments-cdk-") as folder:  # someone else may be using cdk.out
            return run(
                [
                    "cdk",
                    command,
                    *arguments,
                    "--exclusively",
                    "--no-color",
                    "--no-notices",
                    f"--output={folder}",
                    f"--context=stage={self._aws.stage.name}",
                ],
                environment={**self._aws.environment, **variables},
                on_line=on_line or Events(self._note),
            )

    def _show_difference(self, line: str) -> None:
        if not line.startswith(_DIFF_CHATTER):
            self._note(line)

    def _aftermath(self, marks: Mapping[str, str | None]) -> str:
        """Return where a failure has left the stacks that it touched."""
        for name, mark in marks.items():
            stack = stacks.describe(self._aws.cloudformation, name)
            touched = stacks.newest_event(self._aws.cloudformation, name) != mark
            if stack and touched and stack["StackStatus"] in _AFTERMATH:
                return f"{name}: {_AFTERMATH[stack['StackStatus']]}"
        return f"cdk could not deploy {' and '.join(marks)}"
