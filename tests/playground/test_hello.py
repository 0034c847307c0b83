"""The example in examples/hello: deployed, updated, broken and explained like the comment service."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.up import free_port
from tests.client import ask
from tests.machine import needs

PROJECT = Path(__file__).resolve().parents[2]
APP = "examples/hello/app/hello.py"


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def variables(docker: None, tmp_path: Path) -> Iterator[dict[str, str]]:  # noqa: ARG001  # needs Docker
    """The environment of a person who has started a playground with the example."""
    needs((PROJECT / ".venv-playground/bin/python").exists(), "no .venv-playground: `make test` creates it")
    variables = {
        **os.environ,
        "CONFIG_PACKAGE": "examples.hello",
        "PLAYGROUND_DIR": str(tmp_path / "playground"),
        "PLAYGROUND_GATEWAY_PORT": str(free_port()),
        "PLAYGROUND_PORT": str(free_port()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        run("playground", "up", cwd=PROJECT, env=variables)
        yield variables
    finally:
        run("playground", "down", cwd=PROJECT, env=variables)


def run(*arguments: str, cwd: Path, env: dict[str, str], status: int = 0) -> str:
    """Run a module, check its exit status, and return its output."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_a_flask_app_is_deployed_updated_and_rolled_back_with_the_cause(
    variables: dict[str, str], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{variables['PLAYGROUND_PORT']}"
    assert ask(url).body == {"hello": "world", "signed": True}

    clone = tmp_path / "clone"
    git(PROJECT, "clone", "--quiet", str(PROJECT), str(clone))

    def release(old: str, new: str, *, status: int = 0) -> str:
        text = (clone / APP).read_text()
        assert old in text
        (clone / APP).write_text(text.replace(old, new))
        git(clone, "commit", "--all", "--quiet", "--message", "A change")
        return run("release", "deploy", "playground", cwd=clone, env=variables, status=status)

    release('"hello": os', '"greeting": "good day", "hello": os')
    assert ask(url).body["greeting"] == "good day"

    failed = release('return "up"', 'raise RuntimeError("not up")', status=1)
    assert "rolled back" in failed
    assert "cause: /up responds with the wrong status" in failed
    assert "500" in failed
    assert ask(url).body["greeting"] == "good day", "the previous version still serves"

    slow = release('raise RuntimeError("not up")', '__import__("time").sleep(1.2)\n    return "up"', status=1)
    assert "rolled back" in slow
    assert "hello-playground-latency" in slow
    assert ask(url).body["greeting"] == "good day"
