"""What a machine cannot test, it says at the end, with CI=true that is a failure instead; and the one browser."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.web.chromium import FLAGS, NAMES, find_chromium

HERE = Path(__file__).parent

missing = pytest.StashKey[dict[str, str]]()


def docker_is_missing() -> str:
    """Return why Docker cannot be used, or nothing."""
    try:
        info = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "needs Docker: the docker command is not installed"
    if info.returncode == 0:
        return ""
    return f"needs Docker: {(info.stderr.strip().splitlines() or ['docker info fails'])[-1]}"


def browser_is_missing() -> str:
    """Return why no browser can be started, or nothing."""
    if find_chromium():
        return ""
    return f"needs a browser: none of {', '.join(NAMES)} is installed; install one, or name it in CHROMIUM"


NEEDS = {
    "image": docker_is_missing,
    "playground": docker_is_missing,
    "playground/test_browser.py": browser_is_missing,
    "web": browser_is_missing,
}
"""Folders and files of tests, and what says why this machine cannot run them."""

NOT_QUICK = {
    *("bench", "contract", "image", "infra", "playground", "resilience", "web"),
    *(f"release/test_{name}.py" for name in ("bootstrap", "destroy", "permissions", "preview")),
}
"""Folders and files that `make quick` leaves out: they need Docker, a browser or Node, or minutes."""
NOT_QUICK_FIXTURES = {"browser", "docker", "dynamodb", "engine"}
"""Fixtures, and values of parametrized ones, that start a browser, a container, DynamoDB's engine or MiniStack."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no Docker, browser or Node")


def pytest_configure(config: pytest.Config) -> None:
    tools = [str(Path(sys.executable).parent), str(HERE.parent / "node_modules/.bin")]  # as make has it
    os.environ["PATH"] = os.pathsep.join([*tools, os.environ.get("PATH", os.defpath)])
    config.stash[missing] = {}
    if config.getoption("--quick"):
        return
    reasons = {check: check() for check in set(NEEDS.values())}
    config.stash[missing] = {place: reasons[check] for place, check in NEEDS.items() if reasons[check]}
    if config.stash[missing] and os.environ.get("CI") == "true":
        said = "; ".join(f"tests/{place} {reason}" for place, reason in sorted(config.stash[missing].items()))
        raise pytest.UsageError(f"with CI=true every test must run: {said}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    left_out = NOT_QUICK if config.getoption("--quick") else config.stash[missing].keys()
    if not left_out or not collection_path.is_relative_to(HERE):
        return None
    path = collection_path.relative_to(HERE)
    return True if {path.as_posix(), *path.parts[:1]} & left_out else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    slow = [item for item in items if isinstance(item, pytest.Function) and used(item) & NOT_QUICK_FIXTURES]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def used(item: pytest.Function) -> set[str]:
    """Return the names of the fixtures of a test, and the values of its parameters that are names of fixtures."""
    parameters = getattr(item, "callspec", None)
    values = {value for value in parameters.params.values() if isinstance(value, str)} if parameters else set()
    return {*item.fixturenames, *values}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for place, reason in sorted(config.stash[missing].items()):
        terminalreporter.write_line(f"NOT RUN: tests/{place} {reason}", yellow=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all folders: Playwright starts no second one in a process."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield started
        started.close()
