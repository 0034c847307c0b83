"""How a command ends: its exit status, its last lines, and never a stack trace."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from release.command import publish, run
from release.errors import CommandError, NotReadyError
from tests.release.conftest import PROJECT

COMMAND = "from release.command import run_command; from release import command, errors; run_command('release', {})"


def ended(expression: str) -> subprocess.CompletedProcess[str]:
    """Run an expression as the body of a command."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND.format(f"lambda: {expression}")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


RAISE = "(_ for _ in ()).throw({})"


def test_a_failure_is_explained_on_stderr_and_exits_1() -> None:
    done = ended(RAISE.format("errors.DeploymentError('it was rolled back', 'cause: exit code 3')"))
    assert done.returncode == 1
    assert done.stderr == "release failed: it was rolled back\n    cause: exit code 3\n"


def test_a_preflight_that_stops_exits_2() -> None:
    assert ended(RAISE.format("errors.NotReadyError('no Docker')")).returncode == 2


def test_a_mistake_of_the_command_itself_is_one_line() -> None:
    done = ended("1 / 0")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_terminates_the_tool_and_names_the_next_step(tmp_path: Path, sent: signal.Signals) -> None:
    tool = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {tool}; wait"  # a tool behind a wrapper, as node is
    release = subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(f"lambda: command.run(['sh', '-c', {script!r}], environment={{}})")],
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tool.exists() and tool.read_text().strip()):
        assert release.poll() is None
        time.sleep(0.05)
    release.send_signal(sent)
    _, said = release.communicate(timeout=20)
    assert release.returncode == 130
    assert "run the same command again to finish" in said
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while is_alive(int(tool.read_text())):
        assert time.monotonic() < deadline, "the tool's child goes on alone"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_last_lines_of_a_failed_tool_are_kept_without_colours() -> None:
    with pytest.raises(CommandError) as failed:
        run(["sh", "-c", r"seq 100; printf '\033[31mred\033[0m\n' >&2; exit 7"], environment={})
    assert failed.value.summary == "sh -c ended with status 7"
    assert failed.value.details[-1] == "red"
    assert "100" in failed.value.details
    assert "1" not in failed.value.details


def test_a_tool_that_is_not_there_is_named() -> None:
    with pytest.raises(NotReadyError, match="no-such-tool is not installed"):
        run(["no-such-tool"], environment={"PATH": "/nowhere"})


def test_results_are_appended_for_the_next_steps_of_a_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    output.write_text("before=1\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    publish(address="http://example.com", tag="dev-0123456789ab")
    assert output.read_text() == "before=1\naddress=http://example.com\ntag=dev-0123456789ab\n"
    monkeypatch.delenv("GITHUB_OUTPUT")
    publish(address="http://example.com")
