"""A copy of the project, and AWS's APIs on this machine."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stages import STAGES
from release.aws import Aws
from release.platforms import Playground
from tests.machine import needs
from tests.release.support import PROJECT, copy_of_the_project, nobody

ACCOUNT = "000000000000"
REGION = "us-east-1"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """MiniStack as it comes, with nothing deployed, and the variables that lead to it as to a playground."""
    python = PROJECT / ".venv-playground/bin/python"
    needs(python.exists(), "no .venv-playground: run `make test`, which makes it")
    folder = tmp_path_factory.mktemp("engine")
    port = _free_port()
    environment = nobody(folder) | {
        "GATEWAY_PORT": str(port),
        "STATE_DIR": str(folder),
        "TMPDIR": str(folder),
        "IOT_MTLS_ENABLED": "0",  # it would listen on every address
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [str(python), "-c", _SERVE, str(port)], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/_ministack/health", server, folder / "log")
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_HOME": str(folder / "cdk"),
            "PLAYGROUND_URL": "http://127.0.0.1:1",
            "PLAYGROUND_REGISTRY": f"localhost:{port}",
        }
    finally:
        server.terminate()
        server.wait(20)


_SERVE = """
import asyncio, sys
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
config = Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
asyncio.run(serve(app, config))
"""


@pytest.fixture(scope="session")
def docker() -> None:
    works = (
        shutil.which("docker")
        and not subprocess.run(["docker", "version"], capture_output=True, check=False).returncode
    )
    needs(works, "no Docker daemon answers")


@pytest.fixture
def aws(engine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The stage playground on that engine."""
    for name, value in engine.items():
        monkeypatch.setenv(name, value)
    return Aws(STAGES["playground"], Playground(engine), engine, ACCOUNT, REGION)


@pytest.fixture
def playground_environment(engine: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a person whose playground is that engine."""
    folder = tmp_path / "playground"
    folder.mkdir()
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in engine.items()))
    return nobody(tmp_path) | {"PLAYGROUND_DIR": str(folder)}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
