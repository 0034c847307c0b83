"""Tests, releases and permissions in GitHub's workflows. `make check` lints them."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repository import ROOT, nobody

WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}


def test_every_folder_of_tests_runs_in_one_job() -> None:
    steps = [step for job in WORKFLOWS["ci"]["jobs"].values() for step in job["steps"]]
    folders = {f"tests/{path.parent.name}" for path in ROOT.glob("tests/*/test_*.py")}
    assert sorted(re.findall(r"tests/\w+", " ".join(step.get("run", "") for step in steps))) == sorted(folders)


def test_prod_deploys_what_dev_proved_and_a_rollback_skips_ci_and_dev() -> None:
    ci, dev, prod = (WORKFLOWS["deploy"]["jobs"][name] for name in ("ci", "dev", "prod"))
    assert ci["if"] == dev["if"] == "inputs.tag == ''"
    assert prod["if"] == "${{ !cancelled() && (inputs.tag != '' || needs.dev.result == 'success') }}"
    assert prod["env"]["TAG"] == "${{ inputs.tag || needs.dev.outputs.tag }}"


def test_no_job_with_credentials_restores_a_cache() -> None:
    """Whoever can write to a cache could otherwise run code with those credentials."""
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert "id-token" not in job["permissions"] or "cache" not in str(job), name


INJECTIONS = ("$(shell touch made)", "$$(touch ran)", "$(touch ran)", "`touch ran`", "; touch ran", "'; touch ran; '")


@pytest.fixture
def make(copy: Path, tmp_path: Path) -> Callable[..., tuple[str, list[str]]]:
    """Run make in a copy of the project; return its output and the files that this left."""
    for file in (".venv", "node_modules"):
        (copy / file).symlink_to(ROOT / file)
    before = set(copy.iterdir())

    def run(*arguments: str, **variables: str) -> tuple[str, list[str]]:
        command = ["make", "-o.venv/.dev", "-onode_modules/.package-lock.json", *arguments]
        environment = nobody(tmp_path) | {"CDK_OUTDIR": str(tmp_path / "out")} | variables
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode
        return done.stderr, sorted(path.name for path in {*copy.iterdir(), *tmp_path.iterdir()} - before - {copy})

    return run


@pytest.mark.parametrize("value", INJECTIONS)
def test_make_and_the_shell_expand_neither_a_stage_nor_a_tag(
    make: Callable[..., tuple[str, list[str]]], value: str
) -> None:
    """Whoever may run a workflow chooses its inputs, but must not run commands with the role of a stage."""
    for command in ("deploy", "destroy"):
        error, files = make(command, f"ENV={value}")
        assert f"unknown stage {value!r}" in error
        assert files == []
    for arguments, variables in (
        ((f"TAG={value}",), {}),
        ((f"RELEASE_TAG={value}",), {}),
        ((), {"RELEASE_TAG": value}),
    ):
        error, files = make("deploy", "ENV=pr-1", *arguments, **variables)
        assert f"--tag {value}: expected" in error
        assert files == []
    error, files = make("destroy", "ENV=dev", f"CONFIRM={value}")
    assert "dev was not destroyed" in error
    assert files == []


def test_only_the_command_line_of_make_selects_a_stage(make: Callable[..., tuple[str, list[str]]]) -> None:
    for command in ("deploy", "diff", "destroy", "cost", "synth"):
        assert f"run make {command} ENV=STAGE" in make(command, ENV="prod")[0]
    assert "unknown stage 'prd'" in make("deploy", "ENV=prd", ENV="prod")[0]
    assert "unknown stage ''" in make("deploy", "ENV=")[0], "an unset variable of a script must not select the default"
    assert "run make destroy ENV=STAGE" in make("destroy")[0]
