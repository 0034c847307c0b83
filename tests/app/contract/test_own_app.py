"""Someone else's stages and application: the README's steps, followed on a copy of the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import ROOT, copy_working_tree

TESTS = ("tests/infra/test_config.py", "tests/infra/test_app.py", "tests/release/test_explain.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A repository with the files of the working tree, and links to the tools."""
    folder = copy_working_tree(tmp_path / "copy")
    for tools in (".venv", "node_modules"):
        (folder / tools).symlink_to(ROOT / tools)
    return folder


def run(folder: Path, *command: str) -> str:
    """Run a command as an adopter, whose environment selects no other stages; return its output."""
    own = {name: value for name, value in os.environ.items() if name not in {"CONFIG_PACKAGE", "PYTHONPATH"}}
    done = subprocess.run(
        command, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_the_steps_of_the_readme_make_the_platform_yours(copy: Path) -> None:
    """`make` would install the example's dependencies, so the commands of its targets run instead."""
    (steps,) = re.findall(r"^```sh\n(git rm .+?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert steps in (ROOT / "README.pt-BR.md").read_text()
    lines = [line for line in steps.splitlines() if not line.startswith("make ")]
    assert len(lines) == 6
    run(copy, "bash", "-euc", "\n".join(lines))
    for name in ("stages", "workload", "resources"):
        (copy / "infra" / f"{name}.py").write_text(
            "raise SystemExit('tests of the platform read the adopter's files')\n"
        )
    run(copy, sys.executable, "-m", "pytest", "-q", "-n0", *TESTS)
