"""Exit status and last lines of a command, and termination of its tools."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from release.command import publish, run
from release.errors import CommandError, NotReadyError
from tests.release.conftest import PROJECT


def run_release(release: str) -> subprocess.CompletedProcess[str]:
    code = f"from release import command, errors; command.run_command('release', {release})"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(("kind", "status"), [("DeploymentError", 1), ("NotReadyError", 2)])
def test_a_failure_is_explained_on_stderr(kind: str, status: int) -> None:
    failing = f"lambda: (_ for _ in ()).throw(errors.{kind}('it was rolled back', 'cause: exit code 3'))"
    done = run_release(failing)
    assert done.returncode == status
    assert done.stderr == "release failed: it was rolled back\n    cause: exit code 3\n"


@pytest.mark.parametrize("sent", ["INT", "TERM"])
@pytest.mark.parametrize("busy", ["", "sleep 1;"], ids=["while it starts", "while it works"])
def test_an_interrupt_terminates_the_tool_and_names_the_next_step(tmp_path: Path, sent: str, busy: str) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid}; {busy} kill -{sent} $PPID; wait"  # a tool behind a wrapper, as node is
    release = run_release(f"lambda: command.run(['sh', '-c', {script!r}])")
    assert release.returncode == 130
    assert "run the same command again to finish" in release.stderr
    assert "Traceback" not in release.stderr
    deadline = time.monotonic() + 10
    while is_alive(int(pid.read_text())):
        assert time.monotonic() < deadline, "the tool's child is still running"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_tool_that_fails_or_is_missing_is_named() -> None:
    with pytest.raises(CommandError, match="sh -c exited with status 7") as failed:
        run(["sh", "-c", "seq 100; echo reason >&2; exit 7"])
    assert failed.value.details[-2:] == ("100", "reason")
    with pytest.raises(NotReadyError, match="no-such-tool is not installed"):
        run(["no-such-tool"])


def test_results_are_appended_for_the_next_steps_of_a_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    output.write_text("before=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    publish(address="http://example.com", tag="dev-0123456789ab")
    assert output.read_text() == "before=1\naddress=http://example.com\ntag=dev-0123456789ab\n"
