"""Checks on a real account what tests can only show on an emulator: `python -m release confirm STAGE [--yes]`.

Deploys a copy of the stage, checks it, and deletes it. build/confirm/ has the report, a recording of what AWS said, and
the state of an unfinished run.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from infra.config import COPY, COPY_VARIABLE, stage_named
from infra.model import ConfigurationError, Stage
from release.aws import Aws
from release.build import tag_of_working_tree
from release.command import FAILED, ROOT, NotReadyError, ReleaseError, explain_error
from release.confirm_checks import CHECKS, Check, Copy, NotCheckedError
from release.deploy import describe
from release.display import note
from release.playground import takes_uncommitted_changes

FOLDER = ROOT / "build" / "confirm"
HELD, DID_NOT_HOLD, NOT_CHECKED = "held", "did not hold", "not checked"
FIRST, *_, LAST = CHECKS


class Result(TypedDict):
    verdict: str
    seen: str
    """What the check saw, or why it was not made."""
    seconds: float


def confirm(original: Stage, *, release: Callable[..., None], yes: bool) -> int:
    """Make all checks that have not held in an earlier, unfinished run; print the report, and return an exit status.

    With `yes`, ask nothing.
    """
    if original.copy_of:
        raise NotReadyError(f"{original.name} can't be confirmed: choose a stage of infra/stages.py, as in ENV=dev")
    os.environ[COPY_VARIABLE] = original.name
    stage = stage_named(COPY)
    aws = Aws.of(stage)
    tag = tag_of_working_tree(clean=not takes_uncommitted_changes(stage))
    state: dict[str, Any] = {"original": original.name, "tag": tag, "results": {}, "recordings": {}}
    if any(describe(aws, name) for name in (stage.service_stack, stage.foundation_stack)):
        saved = unfinished()
        if not saved or any(saved[each] != state[each] for each in ("original", "tag")):
            raise NotReadyError(
                f"{COPY} is already deployed, by a run for another stage or commit: run `make destroy ENV={COPY}` first"
            )
        state = saved
    elif not yes and not ask(
        f"This deploys a copy of {original.name} named {COPY} to account {aws.account}, region {aws.region}, and"
        " deletes it after about an hour. Until then, it costs some cents an hour. No other stage is changed. Continue?"
    ):
        raise NotReadyError("nothing was changed: answer yes on a terminal, or set YES=1")
    save(state)
    copy = Copy(aws, state["tag"], release, lambda question: None if yes else ask(question), state["recordings"])
    try:
        make_checks(copy, state)
    except KeyboardInterrupt:
        again = f"run `make confirm ENV={original.name}` again to continue, or `make destroy ENV={COPY}`"
        print(f"{COPY} may still be deployed, and cost money: {again}", file=sys.stderr)
        raise
    print(*(lines := report(state)), sep="\n")
    (FOLDER / "report.txt").write_text("\n".join(lines) + "\n")
    (FOLDER / "recording.json").write_text(json.dumps(state["recordings"], indent=2) + "\n")
    if state["results"][LAST.name]["verdict"] == HELD:
        (FOLDER / "state.json").unlink()
    return FAILED if any(each["verdict"] == DID_NOT_HOLD for each in state["results"].values()) else 0


def make_checks(copy: Copy, state: dict[str, Any]) -> None:
    results: dict[str, Result] = state["results"]
    for number, check in enumerate(CHECKS, start=1):
        print(f"==== {number}/{len(CHECKS)} {check.name}, about {check.estimate} s on AWS", flush=True)
        if check.name in results and results[check.name]["verdict"] == HELD:
            note("held in an earlier run")
            continue
        if check in {FIRST, LAST} or results[FIRST.name]["verdict"] == HELD:
            results[check.name] = result_of(check, copy)
        else:
            results[check.name] = {"verdict": NOT_CHECKED, "seen": "the first deployment failed", "seconds": 0}
        note(f"{results[check.name]['verdict']}: {results[check.name]['seen']}")
        save(state)


def result_of(check: Check, copy: Copy) -> Result:
    began = time.monotonic()
    try:
        verdict, seen = HELD, check.run(copy)
    except NotCheckedError as reason:
        verdict, seen = NOT_CHECKED, str(reason)
    except (ReleaseError, ConfigurationError, BotoCoreError, ClientError) as error:
        verdict, (seen, *details) = DID_NOT_HOLD, explain_error(error)
        for line in details:
            note(line)
    return {"verdict": verdict, "seen": seen, "seconds": time.monotonic() - began}


def report(state: dict[str, Any]) -> list[str]:
    """Return a line for each check, with its time beside the estimate, then the numbers of each verdict."""
    lines = [f"{state['original']} at {state['tag']}", f"{'':12}{'seconds':>9}{'estimate':>10}"]
    for check in CHECKS:
        result: Result = state["results"][check.name]
        lines.append(
            f"{result['verdict']:12}{result['seconds']:>9.0f}{check.estimate:>10}  {check.name}: {result['seen']}"
        )
    verdicts = [each["verdict"] for each in state["results"].values()]
    return [*lines, ", ".join(f"{verdicts.count(each)} {each}" for each in (HELD, DID_NOT_HOLD, NOT_CHECKED))]


def save(state: dict[str, Any]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "state.json").write_text(json.dumps(state, indent=2) + "\n")


def unfinished() -> dict[str, Any] | None:
    """Return the state of a run that has not deleted its copy; None if there is none."""
    with suppress(FileNotFoundError):
        return dict(json.loads((FOLDER / "state.json").read_text()))
    return None


def remember_original() -> None:
    """Let other commands for the copy, such as `destroy`, know the stage that an unfinished run copies."""
    if state := unfinished():
        os.environ.setdefault(COPY_VARIABLE, state["original"])


def ask(question: str) -> bool | None:
    """Ask on the terminal; None if there is none."""
    with suppress(EOFError):
        if sys.stdin.isatty():
            return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    return None
