"""Shared fixtures: a playground with the comment service."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playground.state import PlaygroundError, load_environment
from tests.app.playground.cloud import Cloud, playground_command
from tests.machine import needs
from tests.repository import ROOT, Clone

RELEASES = ("failures", "interruptions", "roles", "confirm")
OPERATIONS = ("cdk", "rollouts", "runbook", "lifecycle")
"""Two groups of test files. The files of a group share a playground, in this order: later ones reuse earlier
deployments, runbook ends by destroying the stage, and lifecycle removes the playground. Other tests come later, because
these take longest."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
if WORKER:  # pytest-xdist runs several processes, and each needs a separate playground
    os.environ["PLAYGROUND_DIR"] = str(ROOT / f".playground-{WORKER}")
    os.environ["PLAYGROUND_GATEWAY_PORT"] = str(4566 + WORKER)
    os.environ["PLAYGROUND_PORT"] = str(8080 + WORKER)


@pytest.hookimpl(tryfirst=True)  # before the other tests get their groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    order = [here / f"test_{name}.py" for name in (*RELEASES, *OPERATIONS)]
    items.sort(key=lambda item: order.index(item.path) if item.path in order else len(order))
    for item in items:
        if item.path in order:
            group = "releases" if item.path in order[: len(RELEASES)] else "operations"
            item.add_marker(pytest.mark.xdist_group(f"playground-{group}"))


@pytest.fixture(scope="session")
def was_up(docker: None) -> bool:  # noqa: ARG001  # needs Docker
    """Whether a playground was already running; if so, the tests use it and leave it running."""
    needs((ROOT / ".venv-playground/bin/python").exists(), "no .venv-playground: `make test` creates it")
    try:
        load_environment()
    except PlaygroundError:
        return False
    return True


@pytest.fixture(scope="session")
def playground(was_up: bool, image: str) -> Iterator[dict[str, str]]:  # noqa: ARG001  # Docker's cache then has it
    """Yield the environment of a playground with the service deployed."""
    try:
        if not was_up:
            started = playground_command("up")
            assert started.returncode == 0, started.stdout + started.stderr
        yield load_environment()
    finally:
        if not was_up:
            assert playground_command("down").returncode == 0


@pytest.fixture(scope="session")
def cloud(playground: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    folder = tmp_path_factory.mktemp("workflows")
    return Cloud(playground["AWS_ENDPOINT_URL"], playground["PLAYGROUND_URL"], playground, folder)


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[str], Clone]:
    """Return a function that clones the project into a folder with the given name."""
    return lambda name: Clone(tmp_path / name)


@pytest.fixture
def project(clone: Callable[[str], Clone]) -> Clone:
    return clone("project")
