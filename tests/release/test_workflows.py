"""Tests, releases and permissions in GitHub's workflows. `make check` lints them."""

import re
import subprocess
from pathlib import Path
from typing import Any

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


def test_a_tag_from_the_environment_is_no_code(copy: Path, tmp_path: Path) -> None:
    """Whoever may run a workflow chooses its input, but must not run commands with the role of prod."""
    tag = f"$(shell touch {tmp_path}/make)$$(touch {tmp_path}/shell);`touch {tmp_path}/shell`"
    for file in (".venv", "node_modules"):
        (copy / file).symlink_to(ROOT / file)
    command = ["make", "deploy", "ENV=pr-1", "-o.venv/.dev", "-onode_modules/.package-lock.json"]
    environment = nobody(tmp_path) | {"TAG": tag}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert f"--tag {tag}: expected" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]
