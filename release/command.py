"""Shared by all commands: their errors and exit statuses, and running tools."""

import os
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from infra.model import ConfigurationError
from release.aws_errors import explain_aws_error, explain_denial

ROOT = Path(__file__).resolve().parents[1]
"""Root of the git repository. Every tool runs here."""
FAILED = 1
NOTHING_CHANGED = 2
"""Invalid arguments, or stopped before changing anything. argparse exits with the same status."""
INTERRUPTED = 130  # 128 + SIGINT, as in a shell
TERMINATIONS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command as Ctrl-C does: a CI job was cancelled, a terminal was closed."""
GRACE_SECONDS = 10.0
"""Time for an interrupted tool to exit before it is killed."""
OUTPUT = ROOT / "build" / "release.log"
"""Gets the output of all tools that a command runs. An error names it."""
TAIL_LINES = 25
"""Last lines of a tool's output that a CommandError contains."""


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


class DeploymentError(ReleaseError):
    """CloudFormation or ECS failed; `details` are the causes and the evidence."""


def run(
    command: Sequence[str],
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
    cwd: Path = ROOT,
    on_line: Callable[[str], object] = lambda _line: None,
) -> list[str]:
    """Run a tool and return the lines of stdout and stderr, passing each to `on_line` and to OUTPUT as it arrives.

    `variables` are set in addition to those of this process. Raises CommandError with the last lines if the tool fails,
    or with a missing permission among them, and NotReadyError if it isn't installed.
    """
    lines: list[str] = []
    with ExitStack() as cleanup:
        with _delayed_interrupts():  # one during Popen() would leave the tool running
            try:
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=os.environ | dict(variables),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    process_group=0,  # to terminate it with its children: node may run behind a wrapper
                )
            except FileNotFoundError:
                advice = "run `make setup`, or see docs/deployment.md"
                raise NotReadyError(f"{command[0]} is not installed or not in PATH: {advice}") from None
            cleanup.enter_context(process)
            cleanup.push(lambda kind, *_: _terminate(process) if kind else None)  # also after Ctrl-C
        OUTPUT.parent.mkdir(exist_ok=True)
        output = cleanup.enter_context(OUTPUT.open("a", encoding="utf-8"))
        output.write(f"$ {shlex.join(command)}\n")
        for line in process.stdout or ():
            output.write(line)
            lines.append(line.rstrip())
            on_line(lines[-1])
    if process.returncode:
        last = lines[-TAIL_LINES:]
        denial = explain_denial("\n".join(last))
        raise CommandError(denial or f"{' '.join(command[:2])} exited with status {process.returncode}", *last)
    return lines


@contextmanager
def _delayed_interrupts() -> Iterator[None]:
    received: list[int] = []
    numbers = (signal.SIGINT, *TERMINATIONS)
    handlers = [signal.signal(number, lambda sent, _: received.append(sent)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
        for sent in received:
            signal.raise_signal(sent)


def _terminate(process: subprocess.Popen[str]) -> None:
    """Terminate the tool and its children, then kill them if they don't exit."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with suppress(OSError, subprocess.TimeoutExpired):  # macOS: EPERM if only zombies are left
            os.killpg(process.pid, sent)
            process.wait(GRACE_SECONDS)


def publish(**results: str) -> None:
    """Set outputs of the GitHub Actions step, if GITHUB_OUTPUT names a file."""
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a") as stream:
            stream.writelines(f"{name}={value}\n" for name, value in results.items())


def explain_error(error: ReleaseError | ConfigurationError | BotoCoreError | ClientError) -> list[str]:
    """Return the problem with the next step, then supporting lines."""
    if isinstance(error, ReleaseError):
        return [error.summary, *error.details]
    return [str(error) if isinstance(error, ConfigurationError) else explain_aws_error(error)]


def run_command(name: str, command: Callable[[], int | None], *, failed: int = FAILED) -> NoReturn:
    """Run a command and exit with its status (None is 0). Errors are explained on stderr, bugs with their stack."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may be unable to show what the service has logged
            stream.reconfigure(errors="backslashreplace")
    for number in TERMINATIONS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        status = command() or 0
    except KeyboardInterrupt:
        _print_error(f"{name} interrupted: AWS continues what was started; run the same command again to finish")
        status = INTERRUPTED
    except BrokenPipeError:  # the reader has closed the pipe, as `… | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (ReleaseError, ConfigurationError, BotoCoreError, ClientError) as error:
        _print_error(f"{name} failed: " + "\n    ".join(explain_error(error)))
        if isinstance(error, CommandError | DeploymentError):
            _print_error(f"    all output of docker, cdk and other tools: {os.path.relpath(OUTPUT)}")
        status = NOTHING_CHANGED if isinstance(error, NotReadyError | ConfigurationError) else failed
    except Exception:  # noqa: BLE001  # a bug, so the developer needs the whole stack
        _print_error(f"{name} failed because of a bug:\n{traceback.format_exc().rstrip()}")
        status = failed
    sys.stdout.flush()
    sys.exit(status)


def _print_error(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
