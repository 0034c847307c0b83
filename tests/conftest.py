"""What a machine cannot test, it says at the end; with CI=true that is a failure instead."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_DOCKER = {"image", "playground"}
HERE = Path(__file__).parent

missing = pytest.StashKey[str]()


def docker_is_missing() -> str:
    """Return why Docker cannot be used, or nothing."""
    try:
        info = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "the docker command is not installed"
    return "" if info.returncode == 0 else (info.stderr.strip().splitlines() or ["docker info fails"])[-1]


def pytest_configure(config: pytest.Config) -> None:
    tools = [str(Path(sys.executable).parent), str(HERE.parent / "node_modules/.bin")]  # as make has it
    os.environ["PATH"] = os.pathsep.join([*tools, os.environ.get("PATH", os.defpath)])
    config.stash[missing] = docker_is_missing()
    if config.stash[missing] and os.environ.get("CI") == "true":
        raise pytest.UsageError(f"with CI=true every test must run, and some need Docker: {config.stash[missing]}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.stash[missing] or not collection_path.is_relative_to(HERE):
        return None
    return True if {*collection_path.relative_to(HERE).parts[:1]} & NEEDS_DOCKER else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[missing]:
        for folder in sorted(NEEDS_DOCKER):
            terminalreporter.write_line(f"NOT RUN: tests/{folder} needs Docker: {config.stash[missing]}", yellow=True)
