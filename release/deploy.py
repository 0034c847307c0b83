"""Runs the CDK CLI for one stage: deploy, diff, drift, bootstrap and destroy."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from infra.stages import BOOTSTRAP_QUALIFIER, DIGEST_PARAMETER, TOOLKIT_STACK
from release import stacks
from release.aws import Aws
from release.command import run
from release.errors import CommandError, DeploymentError
from release.explain import explain_denial

ATTEMPTS = 5
"""Number of attempts to deploy while other releases update the same stack."""
_OUTCOMES = {
    "ROLLBACK_COMPLETE": "the first deployment failed and was removed",
    "UPDATE_ROLLBACK_COMPLETE": "the deployment failed and was rolled back: the previous version still runs",
    "UPDATE_ROLLBACK_FAILED": "the deployment failed, and so did its rollback",
}
NOISE = re.compile(
    r"(^|: )(start|success): |^Hold on while|^current credentials could not be used to assume|^Lookup role "
)
"""Uninformative lines of the CDK CLI. Read-only roles can't assume CDK's roles and don't need to."""
_REASONS_SHOWN = 3
_CONCURRENT_UPDATE = re.compile(
    r"_IN_PROGRESS state and can ?not be updated|InvalidChangeSetStatus|OperationInProgress|ChangeSetNotFound"
    r"|ChangeSet \[\S+\] (?:does not exist|already exists)|execution status of \[OBSOLETE\]"
)
"""CloudFormation's messages if another release updates the stack: it takes one update at a time, and rejects change
sets created before another update."""
_NO_VALIDATION = {"CDK_VALIDATION": "false"}
"""Saves five seconds if nothing is deployed, or the templates were validated by an earlier command."""


class Cdk:
    """The CDK CLI that package.json pins, for one stage. The first command synthesizes the templates for all."""

    def __init__(self, aws: Aws, note: Callable[[str], None]) -> None:
        self._aws = aws
        self._note = note
        self._assembly = Path(tempfile.mkdtemp(prefix="comments-cdk-"))  # another process may be using cdk.out
        atexit.register(shutil.rmtree, self._assembly, ignore_errors=True)

    def deploy(self, *names: str, digest: str | None = None) -> None:
        """Deploy this commit's templates, with the image `digest`, by default the running one.

        Raises DeploymentError with CloudFormation's reasons.
        """
        options = [*self._image(digest), "--require-approval=never", "--progress=events"]
        for attempt in range(1, ATTEMPTS + 1):
            for name in names:
                stacks.wait_until_stable(self._aws.cloudformation, name, self._note)
            marks = {name: stacks.newest_event(self._aws.cloudformation, name) for name in names}
            try:
                self.run("deploy", *names, *options, "--exclusively", variables=_NO_VALIDATION if digest else {})
            except CommandError as error:
                if attempt == ATTEMPTS or not _CONCURRENT_UPDATE.search("\n".join(error.details)):
                    raise self._failure(marks, error) from error
                self._note("another release is updating the stack; waiting for it to end before the next attempt")
            else:
                for name, mark in marks.items():  # the CLI waits for other updates without a message
                    if stacks.updates_since(self._aws.cloudformation, name, mark) > 1:
                        self._note(f"another release changed {name} at the same time: one waited for the other")
                return

    def _failure(self, marks: Mapping[str, str | None], error: CommandError) -> DeploymentError:
        """Return CloudFormation's reasons, or the last lines of the CLI if there are none."""
        cloudformation = self._aws.cloudformation
        reasons = [
            reason for name, mark in marks.items() for reason in stacks.failures_since(cloudformation, name, mark)
        ]
        if not reasons and (denial := explain_denial("\n".join(error.details))):
            return DeploymentError(denial, *(line for line in error.details if line and not explain_denial(line)))
        return DeploymentError(self._outcome(marks), *(reasons[:_REASONS_SHOWN] or error.details))

    def _outcome(self, marks: Mapping[str, str | None]) -> str:
        """Return the state of the stack that failed."""
        for name, mark in marks.items():
            stack = stacks.describe(self._aws.cloudformation, name)
            touched = stacks.newest_event(self._aws.cloudformation, name) != mark
            if stack and touched and stack["StackStatus"] in _OUTCOMES:
                return f"{name}: {_OUTCOMES[stack['StackStatus']]}"
        return f"cdk could not deploy {' and '.join(marks)}"

    def diff(self, *names: str, digest: str | None) -> None:
        """Print `cdk diff --fail`; raise CommandError for differences or a failure.

        `digest` is the running image. Without it, the CLI can't create a change set, so it only compares templates.
        """
        self.run("diff", *names, *self._image(digest), "--exclusively", "--fail", variables=_NO_VALIDATION)

    def drift(self, *names: str) -> None:
        """Print `cdk drift --fail`; raise CommandError for drift or a failure."""
        self.run("drift", *names, "--fail", variables=_NO_VALIDATION)

    def _print(self, line: str) -> None:
        if line.strip() and not NOISE.search(line):
            self._note(line)

    def bootstrap(self, policy: str) -> None:
        """Create CDK's bucket and roles. `policy` is the ARN of the policy with CloudFormation's permissions."""
        place = f"aws://{self._aws.account}/{self._aws.region}"
        options = [f"--qualifier={BOOTSTRAP_QUALIFIER}", f"--toolkit-stack-name={TOOLKIT_STACK}", "--no-color"]
        command = ["cdk", "bootstrap", place, "--app=", f"--cloudformation-execution-policies={policy}", *options]
        run(command, environment=self._aws.environment, on_line=self._print)

    def destroy(self, name: str) -> None:
        """Delete a stack; raise DeploymentError with CloudFormation's reasons."""
        mark = stacks.newest_event(self._aws.cloudformation, name)
        try:
            self.run("destroy", name, "--force", "--exclusively")
        except CommandError as error:
            reasons = stacks.failures_since(self._aws.cloudformation, name, mark)
            raise DeploymentError(f"cdk could not delete {name}", *(reasons or error.details)) from error

    def _image(self, digest: str | None) -> list[str]:
        return [f"--parameters={self._aws.stage.service_stack}:{DIGEST_PARAMETER}={digest}"] if digest else []

    def run(
        self,
        command: str,
        *arguments: str,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> list[str]:
        """Run `cdk COMMAND` and return its lines; raise CommandError."""
        if (self._assembly / "manifest.json").exists():
            source = [f"--app={self._assembly}"]
        else:
            source = [f"--output={self._assembly}", f"--context=stage={self._aws.stage.name}"]
        return run(
            ["cdk", command, *arguments, "--no-color", "--no-notices", *source],
            environment={**self._aws.environment, **variables},
            on_line=self._print,
        )
