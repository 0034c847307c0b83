"""A copy of the project to release from, the commands as make runs them, and AWS's APIs on this machine."""

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.config import STAGES
from release.aws import TOOL_SETTINGS, Aws
from release.deploy import wait_until_stable
from release.images import Images
from tests.machine import needs
from tests.release.account import ACCOUNT, REGION, TOPIC, Create
from tests.repository import ROOT, commit_all, git, nobody


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean repository with the files of the working tree, committed or not."""
    folder = tmp_path_factory.mktemp("project")
    for path in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    git(folder, "init", "--quiet")
    commit_all(folder)
    return folder


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    return shutil.copytree(project, tmp_path / "copy")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """MiniStack as it comes, with nothing deployed, and the variables that lead to it as to a playground."""
    python = ROOT / ".venv-playground/bin/python"
    needs(python.exists(), "no .venv-playground: run `make test`, which makes it")
    folder = tmp_path_factory.mktemp("engine")
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        file, port = listening.fileno(), listening.getsockname()[1]
        settings = {"GATEWAY_PORT": str(port), "STATE_DIR": str(folder), "TMPDIR": str(folder)}
        settings["IOT_MTLS_ENABLED"] = "0"  # it would listen on every address
        options = ["--workers=0", "--graceful-timeout=0", f"--bind=fd://{file}"]
        command = [str(python), "-m", "hypercorn", *options, "ministack.app:app"]
        server = subprocess.Popen(command, env=nobody(folder) | credentials | settings, pass_fds=[file])
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=60).close()
        yield credentials | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "CDK_HOME": str(folder / "cdk"),
            "PLAYGROUND_URL": "http://127.0.0.1:1",
            "PLAYGROUND_REGISTRY": f"localhost:{port}",
        }
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def aws(engine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The stage playground on that engine."""
    isolated = TOOL_SETTINGS | {"HTTPS_PROXY": "http://127.0.0.1:1", "AWS_CONFIG_FILE": os.devnull}
    for name, value in (engine | isolated).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Aws(STAGES["playground"], ACCOUNT, REGION)


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """The stage dev, with credentials that are not used: its clients are stubbed."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Aws(STAGES["dev"], ACCOUNT, REGION)


@pytest.fixture
def create(aws: Aws) -> Iterator[Create]:
    """Return a function that creates a stack, by default with a topic, which is deleted after the test."""
    names: list[str] = []

    def create(name: str, **resources: object) -> None:
        names.append(name)
        template = json.dumps({"Resources": resources or {"Topic": TOPIC}})
        aws.cloudformation.create_stack(StackName=name, TemplateBody=template)
        wait_until_stable(aws, name)

    yield create
    for name in names:
        aws.cloudformation.delete_stack(StackName=name)


@pytest.fixture
def images(aws: Aws) -> Iterator[Images]:
    """The stage's registry, empty."""
    aws.ecr.create_repository(repositoryName=aws.stage.image_repository, imageTagMutability="IMMUTABLE")
    yield Images(aws)
    aws.ecr.delete_repository(repositoryName=aws.stage.image_repository, force=True)


@pytest.fixture
def playground_environment(engine: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a person whose playground is that engine."""
    folder = tmp_path / "playground"
    folder.mkdir()
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in engine.items()))
    return nobody(tmp_path) | {"PLAYGROUND_DIR": str(folder)}
