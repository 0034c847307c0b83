"""GitHub runs what anyone can run, in the order of a release. `make check` lints the workflows."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.conftest import PROJECT, nobody

WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((PROJECT / ".github/workflows").glob("*.yml"))
}
TARGET = re.compile(r'make ([a-z-]+)( [A-Z]+=([\w$-]+|"[\w$/ -]+"))*')
JOBS: dict[str, dict[str, dict[str, Any]]] = {name: workflow["jobs"] for name, workflow in WORKFLOWS.items()}


def commands(*of: dict[str, Any]) -> list[str]:
    return [step["run"] for job in of for step in job.get("steps", []) if "run" in step]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_shell_step_is_one_target_of_make(workflow: str) -> None:
    listed = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^make ([a-z-]+) ", listed, re.MULTILINE))
    for command in (found := commands(*JOBS[workflow].values())):
        match = TARGET.fullmatch(command)
        assert match, command
        assert match[1] in targets
    assert found


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_only_a_workflow_without_approvals_has_one_concurrency_group(workflow: str) -> None:
    """A run that waits for approval holds the group of its workflow, so each job with an environment has its own."""
    whole, parts = WORKFLOWS[workflow], JOBS[workflow].values()
    waiting = [job for job in parts if "environment" in job]
    assert not waiting or "concurrency" not in whole
    assert all("concurrency" in job for job in waiting)
    groups = [part["concurrency"]["group"] for part in (whole, *parts) if "concurrency" in part]
    assert groups
    assert len(set(groups)) == len(groups)


def test_every_folder_of_tests_runs_in_one_job() -> None:
    arguments = [found for command in commands(*JOBS["ci"].values()) for found in re.findall(r'ARGS="(.+)"', command)]
    folders = {f"tests/{path.parent.name}" for path in PROJECT.glob("tests/*/test_*.py")}
    assert sorted(" ".join(arguments).split()) == sorted(folders)


def test_prod_deploys_what_dev_proved_and_a_rollback_skips_ci_and_dev() -> None:
    ci, dev, prod = (JOBS["deploy"][name] for name in ("ci", "dev", "prod"))
    assert ci["if"] == dev["if"] == "inputs.tag == ''"
    assert prod["if"] == "${{ !cancelled() && (inputs.tag != '' || needs.dev.result == 'success') }}"
    assert prod["env"]["TAG"] == "${{ inputs.tag || needs.dev.outputs.tag }}"


def test_no_job_with_credentials_restores_a_cache() -> None:
    """Whoever can write to a cache could otherwise run code with those credentials."""
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {}
        for job in JOBS[name].values():
            assert "id-token" not in job["permissions"] or "cache" not in str(job), name


def test_a_tag_from_the_environment_is_no_code(copy: Path, tmp_path: Path) -> None:
    """Whoever may run a workflow chooses its input, but must not run commands with the role of prod."""
    tag = f"$(shell touch {tmp_path}/make)$$(touch {tmp_path}/shell);`touch {tmp_path}/shell`"
    for file in (".venv", "node_modules"):
        (copy / file).symlink_to(PROJECT / file)
    command = ["make", "deploy", "ENV=pr-1", "-o.venv/.dev", "-onode_modules/.package-lock.json"]
    environment = nobody(tmp_path) | {"TAG": tag}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert f"--tag {tag}: expected" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]
