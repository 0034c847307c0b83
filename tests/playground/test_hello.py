"""The example in examples/hello: deployed, updated, broken and explained like the comment service.

Its stage has a domain behind CloudFront, the variant that the playground supports.
"""

import os
import re
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
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/01234567-89ab-cdef-0123-456789abcdef"
DOMAIN = f"""max_tasks=6,
    entrance=importlib.import_module("infra.model").Entrance.CLOUDFRONT,
    domain=Domain(name="hello.example.com", certificate_arn="{CERTIFICATE}"),
"""


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project, whose playground has the domain."""
    folder = tmp_path / "clone"
    git(PROJECT, "clone", "--quiet", str(PROJECT), str(folder))
    for tools in (".venv-playground", "node_modules"):
        (folder / tools).symlink_to(PROJECT / tools)
        with (folder / ".git/info/exclude").open("a") as ignored:
            ignored.write(f"{tools}\n")
    change(folder, "infra/config.py", "max_tasks=6,\n", DOMAIN)
    return folder


def change(clone: Path, file: str, old: str, new: str) -> None:
    """Commit a change of a file."""
    text = (clone / file).read_text()
    assert old in text
    (clone / file).write_text(text.replace(old, new))
    git(clone, "commit", "--all", "--quiet", "--message", "A change")


@pytest.fixture
def variables(docker: None, tmp_path: Path, clone: Path) -> Iterator[dict[str, str]]:  # noqa: ARG001  # needs Docker
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
        started = run("playground", "up", cwd=clone, env=variables)
        assert re.search(r"exist in the DNS: hello\.example\.com CNAME \w+\.cloudfront\.net", started), started
        yield variables
    finally:
        run("playground", "down", cwd=clone, env=variables)


def run(*arguments: str, cwd: Path, env: dict[str, str], status: int = 0) -> str:
    """Run a module, check its exit status, and return its output."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_a_flask_app_behind_cloudfront_is_deployed_updated_and_rolled_back_with_the_cause(
    variables: dict[str, str], clone: Path
) -> None:
    url = f"http://127.0.0.1:{variables['PLAYGROUND_PORT']}"
    assert ask(url).body == {"hello": "world", "signed": True}

    def release(old: str, new: str, *, status: int = 0) -> str:
        change(clone, APP, old, new)
        return run("release", "deploy", "playground", cwd=clone, env=variables, status=status)

    released = release('"hello": os', '"greeting": "good day", "hello": os')
    assert "nothing to migrate" in released
    assert ask(url).body["greeting"] == "good day"

    unprepared = release('print("nothing to migrate")', 'raise RuntimeError("cannot migrate")', status=1)
    assert "migrate` failed before the rollout" in unprepared
    assert "cause: the container app exits with status 1: RuntimeError: cannot migrate" in unprepared
    assert "==> service" not in unprepared, "nothing is deployed"
    (clone / APP).write_text((clone / APP).read_text().replace("raise RuntimeError", "print"))

    failed = release('return "up"', 'raise RuntimeError("not up")', status=1)
    assert "rolled back" in failed
    assert "cause: /up responds with the wrong status" in failed
    assert "500" in failed
    assert ask(url).body["greeting"] == "good day", "the previous version still serves"

    slow = release('raise RuntimeError("not up")', '__import__("time").sleep(1.2)\n    return "up"', status=1)
    assert "rolled back" in slow
    assert "hello-playground-latency" in slow
    assert ask(url).body["greeting"] == "good day"
