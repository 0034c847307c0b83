"""GitHub runs what anyone can run, in the order of a release. `make check` lints the workflows."""

import re
import subprocess
from pathlib import Path

import pytest

from release.__main__ import Phase
from tests.release.conftest import PROJECT

FOLDER = PROJECT / ".github/workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
TARGET = re.compile(r'make ([a-z-]+)( [A-Z]+=([\w$-]+|"[\w$/ -]+"))*')


def values(workflow: Path, key: str) -> list[str]:
    return re.findall(rf"^\s*(?:- )?{key}: (.+)$", workflow.read_text(), re.MULTILINE)


def jobs(workflow: Path) -> dict[str, str]:
    """Return the text of each job by its ID."""
    text = workflow.read_text().partition("\njobs:\n")[2]
    parts = re.split(r"^  ([a-z]+):$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


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
def test_only_a_workflow_without_approvals_has_one_concurrency_group(workflow: Path) -> None:
    """A run that waits for approval holds the group of its workflow, so each job with an environment has its own."""
    for job in jobs(workflow).values():
        if "\n    environment:\n" in job:
            assert not re.search(r"^concurrency:$", workflow.read_text(), re.MULTILINE)
            assert "\n    concurrency:\n" in job
    groups = values(workflow, "group")
    assert groups
    assert len(set(groups)) == len(groups)


def test_every_folder_of_tests_runs_in_one_job() -> None:
    run = [folder for arguments in re.findall(r'ARGS="(.+)"', (FOLDER / "ci.yml").read_text())
           for folder in arguments.split()]  # fmt: skip
    assert sorted(run) == sorted({f"tests/{path.parent.name}" for path in PROJECT.glob("tests/*/test_*.py")})


@pytest.mark.parametrize(("workflow", "job"), [("deploy", "dev"), ("preview", "deploy")])
def test_a_release_that_builds_shows_every_phase(workflow: str, job: str) -> None:
    assert re.findall(r"STEP=(\w+)$", jobs(FOLDER / f"{workflow}.yml")[job], re.MULTILINE) == list(Phase)


def test_prod_deploys_and_verifies_what_dev_proved() -> None:
    prod = jobs(FOLDER / "deploy.yml")["prod"]
    assert re.findall(r"STEP=(\w+)$", prod, re.MULTILINE) == [Phase.DEPLOY, Phase.VERIFY]
    assert prod.count('TAG="$TAG"') == 2
    assert "TAG: ${{ inputs.tag || needs.dev.outputs.tag }}" in prod


def test_a_rollback_skips_ci_and_dev() -> None:
    deploy = jobs(FOLDER / "deploy.yml")
    assert [name for name, job in deploy.items() if "\n    if: inputs.tag == ''\n" in f"\n{job}"] == ["ci", "dev"]
    assert "if: ${{ !cancelled() && (inputs.tag != '' || needs.dev.result == 'success') }}" in deploy["prod"]


def test_no_job_with_credentials_restores_a_cache() -> None:
    """Whoever can write to a cache could otherwise run code with those credentials."""
    for workflow in WORKFLOWS:
        for name, job in jobs(workflow).items():
            if "id-token: write" in job:
                assert "cache" not in job, (workflow.stem, name)
