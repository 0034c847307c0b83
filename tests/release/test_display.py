"""What a command prints, on a terminal and elsewhere."""

import os
import subprocess
import sys

import pytest

from tests.release.terminal import run_in_terminal
from tests.repository import ROOT

SCRIPT = """
import sys, time
from release.command import run_command
from release.display import note, progress, step

def work():
    with step("service"):
        progress("tasks", "1 of 2 running")
        note(" ".join(["an event", *sys.argv[1:]]))
        time.sleep(0.5)  # longer than the view's refresh

run_command("release", work)
"""
COMMAND = [sys.executable, "-c", SCRIPT]


def test_a_terminal_shows_rows_until_the_step_ends() -> None:
    moments: list[str] = []
    last = run_in_terminal(COMMAND, moments.append).splitlines()
    assert any("tasks  1 of 2 running" in moment and "an event" in moment for moment in moments)
    assert last[:2] == ["==> service", "    an event"]
    assert len(last) == 3
    assert "done in" in last[2]


def test_a_file_gets_the_lines_that_stay() -> None:
    printed = subprocess.check_output(COMMAND, cwd=ROOT, text=True).splitlines()
    assert printed[:2] == ["==> service", "    an event"]
    assert len(printed) == 3


def test_a_terminal_without_unicode_shows_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")  # as with LANG=de_DE.ISO-8859-1
    moments: list[str] = []
    last = run_in_terminal([*COMMAND, "\N{RIGHTWARDS ARROW}"], moments.append).splitlines()
    assert any("tasks  1 of 2 running" in moment for moment in moments)
    assert last[:2] == ["==> service", r"    an event \u2192"]
    assert "done in" in last[2]


def test_a_workflow_shows_each_step_as_a_group() -> None:
    variables = os.environ | {"GITHUB_ACTIONS": "true"}
    printed = subprocess.check_output(COMMAND, cwd=ROOT, env=variables, text=True).splitlines()
    assert printed[:2] == ["::group::==> service", "    an event"]
    assert printed[3:] == ["::endgroup::"]
