"""Deploys stacks with the CDK CLI, showing what happens to them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable

from infra.release import stacks
from infra.release.aws import Aws
from infra.release.errors import CommandError, DeploymentError
from infra.release.tools import LAST_LINES, run

_EVENT = re.compile(
    r"\S+ \| +(?P<progress>\d+(?:/\d+)?) \| [\d:]+ (?:[AP]M )?\| (?P<status>\w+) +\| (?P<type>\S+) +\| (?P<resource>.*)"
)
_DIFFERENCES = re.compile(r"Number of stacks with differences: (\d+)")
_REASONS_SHOWN = 3


class Cdk:
    """The CDK CLI, pinned by package.json, for one stage."""

    def __init__(self, aws: Aws, note: Callable[[str], None]) -> None:
        self._aws = aws
        self._note = note

    def deploy(self, *names: str, digest: str | None = None) -> None:
        """Bring the stacks to this commit's templates; raise DeploymentError with CloudFormation's reasons."""
        cloudformation = self._aws.cloudformation
        for name in names:
            stacks.settle(cloudformation, name, self._note)
        marks = {name: stacks.newest_event(cloudformation, name) for name in names}
        try:
            self._run("deploy", *names, "--require-approval=never", "--progress=events", digest=digest)
        except CommandError as error:
            reasons = [reason for name in names for reason in stacks.failures_since(cloudformation, name, marks[name])]
            raise DeploymentError(
                f"cdk could not deploy {' and '.join(names)}",
                *(reasons[:_REASONS_SHOWN] or error.details),
            ) from error

    def destroy(self, name: str) -> None:
        """Delete a stack; raise DeploymentError with CloudFormation's reasons."""
        cloudformation = self._aws.cloudformation
        mark = stacks.newest_event(cloudformation, name)
        try:
            self._run("destroy", name, "--force")
        except CommandError as error:
            reasons = stacks.failures_since(cloudformation, name, mark)
            raise DeploymentError(f"cdk could not destroy {name}", *(reasons or error.details)) from error

    def differs(self, *names: str, digest: str | None) -> bool:
        """Show what a deployment would change, and return whether it would change anything."""
        lines = self._run("diff", *names, digest=digest, on_line=self._note)
        for line in lines:
            if match := _DIFFERENCES.search(line):
                return match[1] != "0"
        raise CommandError("cdk diff did not say how many stacks differ", *lines[-LAST_LINES:])

    def _run(
        self, command: str, *arguments: str, digest: str | None = None, on_line: Callable[[str], None] | None = None
    ) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="comments-cdk-") as folder:  # cdk.out may be someone else's just now
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
                    *([f"--context=digest={digest}"] if digest else []),
                ],
                environment=self._aws.environment,
                on_line=on_line or self._show,
            )

    def _show(self, line: str) -> None:
        """Pass on what a person follows: resources that came, went or failed, and stacks that needed nothing."""
        event = _EVENT.match(line.strip())
        if event and event["status"].endswith(("_COMPLETE", "_FAILED")):
            self._note(f"{event['progress']} {event['status']} {event['type']} {event['resource'].strip()}")
        elif "(no changes)" in line:
            self._note(line.strip(" \n✅"))
