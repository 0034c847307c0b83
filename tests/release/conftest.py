"""A copy of the project to release from, the commands as make runs them, and AWS's APIs on this machine."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.config import REPOSITORY, STAGES
from release.aws import TOOL_SETTINGS, Aws
from release.deploy import wait_until_stable
from release.images import Images
from tests.release.account import ACCOUNT, REGION, TOPIC, Create
from tests.repository import copy_working_tree, nobody


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean repository with the files of the working tree, committed or not."""
    return copy_working_tree(tmp_path_factory.mktemp("project"))


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    return shutil.copytree(project, tmp_path / "copy")


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
    aws.ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    yield Images(aws)
    aws.ecr.delete_repository(repositoryName=REPOSITORY, force=True)


@pytest.fixture
def playground_environment(engine: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a person whose playground is that engine."""
    folder = tmp_path / "playground"
    folder.mkdir()
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in engine.items()))
    return nobody(tmp_path) | {"PLAYGROUND_DIR": str(folder)}
