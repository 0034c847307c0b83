"""A playground for the session: the one that is up, or one that is started for the tests and taken down after them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from playground.client import load_environment
from playground.state import PlaygroundError
from tests.machine import needs
from tests.playground.cloud import Cloud
from tests.playground.traffic import TALLIES

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def docker() -> None:
    works = (
        shutil.which("docker")
        and not subprocess.run(["docker", "version"], capture_output=True, check=False).returncode
    )
    needs(works, "no Docker daemon answers: the playground runs containers")
    needs((PROJECT / ".venv-playground/bin/python").exists(), "no .venv-playground: run `make test`, which makes it")


def playground_command(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "playground", name],
        cwd=PROJECT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def playground(docker: None) -> Iterator[dict[str, str]]:  # noqa: ARG001 - a condition
    """The environment of a playground with the service on it."""
    try:
        environment = load_environment()
    except PlaygroundError:
        started = playground_command("up")
        assert started.returncode == 0, started.stdout + started.stderr
        yield load_environment()
        assert playground_command("down").returncode == 0
    else:
        yield environment


@pytest.fixture(scope="session")
def cloud(playground: dict[str, str]) -> Cloud:
    session = boto3.Session(
        aws_access_key_id=playground["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=playground["AWS_SECRET_ACCESS_KEY"],
        region_name=playground["AWS_REGION"],
    )
    return Cloud(session, endpoint=playground["AWS_ENDPOINT_URL"], url=playground["PLAYGROUND_URL"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the readers of the site saw, test by test."""
    if TALLIES:
        terminalreporter.section("requests through the load balancer")
    for test, answered, failed in TALLIES:
        name = test.partition("::")[2].partition(" (")[0]
        terminalreporter.write_line(f"{answered:7,} answered {failed:5,} failed  {name}")


@pytest.fixture(scope="session")
def acknowledged() -> dict[int, list[str]]:
    """Every comment that the service has confirmed to any test of the session."""
    return {}
