"""The playground's patches of MiniStack."""

import subprocess

import pytest

from tests.machine import needs
from tests.repository import ROOT

PYTHON = ROOT / ".venv-playground/bin/python"


def under_ministack(program: str, *arguments: str) -> str:
    """Run a Python program in the server's environment and return its output."""
    needs(PYTHON.exists(), "no .venv-playground: run `make test`, which makes it")
    command = [str(PYTHON), "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_lists_every_patch() -> None:
    names = under_ministack(
        "import playground.server.__main__\nfrom playground.server.patching import PATCHES\nprint(*PATCHES)"
    ).split()
    readme = (ROOT / "playground" / "README.md").read_text()
    assert len(names) > 30
    assert [name for name in names if f"{name}`" not in readme] == []


@pytest.mark.parametrize("stock", ["def stop(task, reason, force): ...", "def end(task, reason): ..."])
def test_a_patch_of_a_function_that_has_changed_is_refused(stock: str) -> None:
    """Covers a renamed function and a changed parameter."""
    printed = under_ministack(
        "import sys, types\n"
        "from playground.server.patching import patch\n"
        "ecs = types.ModuleType('ecs')\n"
        "exec(sys.argv[1], vars(ecs))\n"
        "try:\n"
        "    @patch(ecs, 'stop', gap='it does not drain')\n"
        "    def stop(task, reason): ...\n"
        "except SystemExit as refused:\n"
        "    print(refused)",
        stock,
    )
    assert "stop" in printed
    assert "it does not drain" in printed
