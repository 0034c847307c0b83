"""What GitHub runs is what anyone can run: each step of a workflow is a pinned action or one target of make."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.release.support import PROJECT

WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
OURS = re.compile(r"\$/\.github/workflows/[a-z]+\.yml")
TARGET = re.compile(r'make ([a-z-]+)( [A-Z]+=[\w"$-]+)*')


def values(workflow: Path, key: str) -> list[str]:
    return re.findall(rf"^\s*(?:- )?{key}: (.+)$", workflow.read_text(), re.MULTILINE)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit(workflow: Path) -> None:
    used = values(workflow, "uses")
    assert used
    assert [name for name in used if not PINNED.fullmatch(name) and not OURS.fullmatch(name)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_shell_step_is_one_target_of_make(workflow: Path) -> None:
    listed = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^make ([a-z-]+) ", listed, re.MULTILINE))
    commands = values(workflow, "run")
    assert commands
    for command in commands:
        match = TARGET.fullmatch(command)
        assert match, command
        assert match[1] in targets


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_nothing_that_a_job_does_not_ask_for(workflow: Path) -> None:
    assert re.search(r"^permissions: \{\}$", workflow.read_text(), re.MULTILINE)
    assert re.search(r"^concurrency:$", workflow.read_text(), re.MULTILINE)
