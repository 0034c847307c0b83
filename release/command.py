"""Turns the outcome of a command into its output and exit status; nothing else does."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from infra.stages import ConfigurationError
from playground.state import PlaygroundError
from release.aws import explained
from release.errors import NotReadyError, ReleaseError

FAILED = 1
NOTHING_DONE = 2
"""Wrong arguments, or preflight stopped it: nothing was changed. argparse uses the same."""
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def run_command(name: str, command: Callable[[], int | None], *, failed: int = FAILED) -> NoReturn:
    """Run it and exit: with its own status (0 for None), or with an explanation on stderr and never a stack trace."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = command() or 0
    except KeyboardInterrupt:
        _say(f"{name} interrupted: what AWS has begun goes on there; run the same command again to finish")
        status = INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (ReleaseError, ConfigurationError, PlaygroundError, BotoCoreError, ClientError) as error:
        nothing_done = _explain(name, error)
        status = NOTHING_DONE if nothing_done else failed
    except Exception as error:  # noqa: BLE001  (a mistake of ours: still one line, with the place to look at)
        place = traceback.extract_tb(error.__traceback__)[-1]
        _say(f"{name} failed by a mistake in itself: {error!r} at {place.filename}:{place.lineno}")
        status = failed
    sys.stdout.flush()
    sys.exit(status)


def _explain(
    name: str, error: ReleaseError | ConfigurationError | PlaygroundError | BotoCoreError | ClientError
) -> int:
    if isinstance(error, BotoCoreError | ClientError):
        error = explained(error)
    if not isinstance(error, ReleaseError):
        error = NotReadyError(str(error))
    _say(f"{name} failed: {error.summary}", *(f"    {line}" for line in error.details))
    return isinstance(error, NotReadyError)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Let a cancelled CI job end as Ctrl-C does."""
    raise KeyboardInterrupt


def _say(*lines: str) -> None:
    sys.stdout.flush()
    print(*lines, sep="\n", file=sys.stderr, flush=True)
