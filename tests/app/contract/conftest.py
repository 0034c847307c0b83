import json
import os
import subprocess
import sys

import pytest
from aws_cdk.assertions import Template

from tests.app.contract.synthesis import templates
from tests.app.support import ROOT
from tests.infra.synthesis import environment


@pytest.fixture(scope="session")
def service() -> Template:
    return templates("dev").service


@pytest.fixture(scope="session")
def dockerfile() -> dict[str, str]:
    """The instructions of the final stage with their arguments; a later one overrides an earlier one."""
    final = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").rsplit("\nFROM ", 1)[1]
    lines = [line for line in final.splitlines()[1:] if line.strip() and not line.lstrip().startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


@pytest.fixture(scope="session")
def server(dockerfile: dict[str, str], service: Template) -> dict[str, str]:
    """Gunicorn's configuration for the image's command in the task's environment."""
    program, script, *arguments = json.loads(dockerfile["CMD"])
    assert program == "python3"
    command = [sys.executable, script, "--print-config", *arguments]
    environ = os.environ | environment(service) | {"AWS_REGION": "us-east-1"}
    printed = subprocess.check_output(command, cwd=ROOT / "app", env=environ, text=True)
    pairs = (line.split("=", 1) for line in printed.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}
