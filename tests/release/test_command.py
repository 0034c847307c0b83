"""Exit status and last lines of a command, and termination of its tools."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from release import command
from release.command import CommandError, NotReadyError, publish, run
from tests.repository import ROOT


@pytest.mark.parametrize("sent", ["INT", "TERM", "HUP"])
def test_an_interrupt_terminates_the_tool_and_names_the_next_step(tmp_path: Path, sent: str) -> None:
    held = tmp_path / "held"  # open in the tool and its child, until both have ended
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    script = f"exec 3> {held}; sleep 60 & kill -{sent} $PPID; wait"  # a tool behind a wrapper, as node is
    code = f"from release import command; command.run_command('release', lambda: command.run(['sh', '-c', {script!r}]))"
    release = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=20, check=False
    )
    assert release.returncode == 130
    assert "run the same command again to finish" in release.stderr
    assert "Traceback" not in release.stderr
    assert select.select([reader], [], [], 10)[0], "the tool's child is still running"
    os.close(reader)


def test_an_interrupt_while_a_tool_starts_terminates_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "60"])
    assert started[0].returncode == -signal.SIGTERM


def test_a_tool_that_fails_lacks_a_permission_or_is_missing_is_named() -> None:
    with pytest.raises(CommandError, match="sh -c exited with status 7") as failed:
        run(["sh", "-c", "seq 100; echo reason >&2; exit 7"])
    assert failed.value.details[-2:] == ("100", "reason")
    denied = "denied: User: arn:aws:iam::1:role/notes-deploy-dev is not authorized to perform: ecr:UploadLayerPart"
    with pytest.raises(CommandError, match="notes-deploy-dev lacks ecr:UploadLayerPart"):
        run(["sh", "-c", f"echo '{denied}'; exit 1"])
    with pytest.raises(NotReadyError, match="no-such-tool is not installed"):
        run(["no-such-tool"])


def test_results_are_appended_for_the_next_steps_of_a_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    output.write_text("before=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    publish(address="http://example.com", tag="dev-0123456789ab")
    assert output.read_text() == "before=1\naddress=http://example.com\ntag=dev-0123456789ab\n"


def test_a_failed_tool_leaves_its_complete_output_in_a_file_that_the_error_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "build" / "release.log"
    monkeypatch.setattr(command, "OUTPUT", output)
    tool = [sys.executable, "-c", "print(*range(100), sep='\\n'); raise SystemExit(3)"]
    with pytest.raises(SystemExit, match=r"^1$"):
        command.run_command("release", lambda: len(command.run(tool)))
    said = capsys.readouterr().err.splitlines()
    assert said[-1].endswith(os.path.relpath(output))
    assert "exited with status 3" in said[0]
    assert output.read_text().splitlines()[1:] == [str(number) for number in range(100)]
