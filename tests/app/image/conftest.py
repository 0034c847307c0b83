"""The image. BASE_IMAGE replaces the pinned base image where it can't be pulled."""

import os
from collections.abc import Iterator

import pytest

from tests.app.image.containers import docker


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """A name for the image, which is removed afterwards; Docker's build cache remains."""
    name = f"comments-test:{os.getpid()}"
    base = ["--build-arg", f"BASE_IMAGE={os.environ['BASE_IMAGE']}"] if "BASE_IMAGE" in os.environ else []
    docker("build", "-q", f"--tag={name}", *base, ".")
    yield name
    docker("rmi", "--no-prune", name)
