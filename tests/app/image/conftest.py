"""The image. BASE_IMAGE replaces the pinned base image where it can't be pulled."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.app.conftest import ROOT, wait_until
from tests.client import ask


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def wait_for(url: str) -> None:
    wait_until(lambda: ask(f"{url}/healthz").status == 200)


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """A name for the image, which is removed afterwards; Docker's build cache remains."""
    name = f"comments-test:{os.getpid()}"
    base = ["--build-arg", f"BASE_IMAGE={os.environ['BASE_IMAGE']}"] if "BASE_IMAGE" in os.environ else []
    docker("build", "-q", f"--tag={name}", *base, ".")
    yield name
    docker("rmi", "--no-prune", name)
