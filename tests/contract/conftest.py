import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template

from comments.logs import JsonFormatter
from tests.infra.synthesis import container, templates

ROOT = Path(__file__).resolve().parents[2]


class Dockerfile:
    """The instructions of the final stage with their arguments; a later one overrides an earlier one."""

    def __init__(self, text: str) -> None:
        final = text.replace("\\\n", " ").rsplit("\nFROM ", 1)[1]
        lines = [line for line in final.splitlines()[1:] if line.strip() and not line.lstrip().startswith("#")]
        self.instructions = dict(line.split(maxsplit=1) for line in lines)

    @property
    def command(self) -> list[str]:
        command: list[str] = json.loads(self.instructions["CMD"])
        return command


class Log:
    """The log lines of the app."""

    def __init__(self) -> None:
        self._stream = StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(JsonFormatter())

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def log() -> Iterator[Log]:
    logger, captured = logging.getLogger("comments"), Log()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(captured.handler)
    yield captured
    logger.removeHandler(captured.handler)
    logger.setLevel(level)


@pytest.fixture(scope="session")
def service() -> Template:
    return templates("dev").service


@pytest.fixture(scope="session")
def data() -> Template:
    return templates("dev").data


@pytest.fixture(scope="session")
def dockerfile() -> Dockerfile:
    return Dockerfile((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="session")
def task_environment(service: Template) -> dict[str, str]:
    return {variable["Name"]: variable["Value"] for variable in container(service)["Environment"]}


@pytest.fixture(scope="session")
def server(dockerfile: Dockerfile, task_environment: dict[str, str]) -> dict[str, str]:
    """Gunicorn's configuration for the image's command in the task's environment."""
    program, *arguments = dockerfile.command
    assert program == "gunicorn"
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--print-config", *arguments],
        cwd=ROOT / "app",
        env={**os.environ, **task_environment, "AWS_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pairs = (line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}
