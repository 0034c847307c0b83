"""The example in examples/hello: deployed, updated, broken and explained like the comment service.

Its stage has a domain behind CloudFront, the variant that the playground supports.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.up import free_port
from tests.client import ask
from tests.machine import needs
from tests.repository import ROOT, Clone
from tests.repository import run as run_module

APP = "examples/hello/app/hello.py"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/01234567-89ab-cdef-0123-456789abcdef"
DOMAIN = f"""max_tasks=6,
    entrance=importlib.import_module("infra.model").Entrance.CLOUDFRONT,
    domain=importlib.import_module("infra.model").Domain(name="hello.example.com", certificate_arn="{CERTIFICATE}"),
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone of the project, whose playground has the domain."""
    clone = Clone(tmp_path / "clone")
    for tools in (".venv-playground", "node_modules"):
        (clone.folder / tools).symlink_to(ROOT / tools)
        with (clone.folder / ".git/info/exclude").open("a") as ignored:
            ignored.write(f"{tools}\n")
    clone.replace("infra/config.py", "max_tasks=6,\n", DOMAIN)
    return clone


@pytest.fixture
def variables(docker: None, tmp_path: Path, clone: Clone) -> Iterator[dict[str, str]]:  # noqa: ARG001  # needs Docker
    """The environment of a person who has started a playground with the example."""
    needs((ROOT / ".venv-playground/bin/python").exists(), "no .venv-playground: `make test` creates it")
    variables = {
        **os.environ,
        "CONFIG_PACKAGE": "examples.hello",
        "PLAYGROUND_DIR": str(tmp_path / "playground"),
        "PLAYGROUND_GATEWAY_PORT": str(free_port()),
        "PLAYGROUND_PORT": str(free_port()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        started = run("playground", "up", clone=clone, variables=variables)
        assert re.search(r"exist in the DNS: hello\.example\.com CNAME \w+\.cloudfront\.net", started), started
        yield variables
    finally:
        run("playground", "down", clone=clone, variables=variables)


def run(*arguments: str, clone: Clone, variables: dict[str, str], status: int = 0) -> str:
    """Run a module, check its exit status, and return its output."""
    done = run_module(*arguments, cwd=clone.folder, env=variables)
    assert done.returncode == status, done.stdout
    return done.stdout


def test_a_flask_app_behind_cloudfront_is_deployed_updated_and_rolled_back_with_the_cause(
    variables: dict[str, str], clone: Clone
) -> None:
    url = f"http://127.0.0.1:{variables['PLAYGROUND_PORT']}"
    assert ask(url).body == {"hello": "world", "signed": True}

    def release(old: str, new: str, *, status: int = 0) -> str:
        clone.replace(APP, old, new)
        return run("release", "deploy", "playground", clone=clone, variables=variables, status=status)

    released = release('"hello": os', '"greeting": "good day", "hello": os')
    assert "nothing to migrate" in released
    assert ask(url).body["greeting"] == "good day"

    unprepared = release('print("nothing to migrate")', 'raise RuntimeError("cannot migrate")', status=1)
    assert "migrate` failed before the rollout" in unprepared
    assert "cause: the container app exits with status 1: RuntimeError: cannot migrate" in unprepared
    assert "==> service" not in unprepared, "nothing is deployed"
    clone.replace(APP, "raise RuntimeError", "print")

    failed = release('return "up"', 'raise RuntimeError("not up")', status=1)
    assert "rolled back" in failed
    assert "cause: /up responds with the wrong status" in failed
    assert "500" in failed
    assert ask(url).body["greeting"] == "good day", "the previous version still serves"

    slow = release('raise RuntimeError("not up")', '__import__("time").sleep(1.2)\n    return "up"', status=1)
    assert "rolled back" in slow
    assert "hello-playground-latency" in slow
    assert ask(url).body["greeting"] == "good day"
