"""The image's tag, and the commit that it names, from real repositories."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from release.aws import Aws
from release.build import build, commit_in, source_of_image, tag_of_working_tree
from release.command import NotReadyError
from tests.machine import needs
from tests.repository import commit_all, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "api.py").write_text("one\n")
    (tmp_path / ".gitignore").write_text("secret\n")
    commit_all(tmp_path)
    return tmp_path


def test_a_tag_names_one_content(repository: Path) -> None:
    (repository / "secret").write_text("ignored")
    tags = [tag_of_working_tree(repository, clean=True)]
    for file, content in (("app/api.py", "two\n"), ("new", "a"), ("new", "b")):
        (repository / file).write_text(content)
        tags.append(tag_of_working_tree(repository, clean=False))
    assert tags[0] == git(repository, "rev-parse", "--short=12", "HEAD")
    assert len(set(tags)) == 4
    assert all(tag.startswith(f"{tags[0]}-dirty-") for tag in tags[1:])
    (repository / "new").write_text("a")
    git(repository, "add", "--all")
    assert tag_of_working_tree(repository, clean=False) == tags[2], "staged or not"
    assert commit_in(f"playground-{tags[2]}") == tags[2]


@pytest.mark.parametrize(
    ("region", "registry"),
    [
        ("eu-west-1", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/notes"),
        ("cn-north-1", "000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn/notes"),
    ],
)
def test_the_registry_has_the_domain_of_the_partition(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, region: str, registry: str
) -> None:
    assert replace(dev, region=region).image_name == registry
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    assert replace(dev, region=region).image_name == registry


def test_a_docker_daemon_that_does_not_respond_stops_the_build(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(shutil.which("docker"), "no docker")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(NotReadyError, match="Docker's daemon does not respond: start it"):
        build(aws, "0123456789ab")


def test_only_a_change_of_the_image_changes_the_commit_that_it_names(repository: Path) -> None:
    """Otherwise, each commit would replace every task."""
    named = source_of_image(repository)
    assert named[0] == git(repository, "rev-parse", "--short=12", "HEAD")
    (repository / "README.md").write_text("another\n")
    commit_all(repository)
    assert source_of_image(repository) == named
    (repository / "app" / "api.py").write_text("two\n")
    assert source_of_image(repository)[0] == f"{named[0]}-dirty"
    commit = commit_all(repository)
    assert source_of_image(repository)[0] == commit


def test_a_shallow_clone_without_the_commit_that_changed_the_image_is_refused(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    named = source_of_image(repository)

    def shallow(depth: int) -> Path:
        folder = tmp_path_factory.mktemp("shallow")
        git(repository, "clone", "--quiet", f"--depth={depth}", repository.as_uri(), str(folder))
        return folder

    (repository / "README.md").write_text("another\n")
    commit_all(repository)
    with pytest.raises(NotReadyError, match="git fetch --unshallow"):
        source_of_image(shallow(1))
    (repository / "app" / "api.py").write_text("two\n")
    commit_all(repository)
    with pytest.raises(NotReadyError, match="git fetch --unshallow"):
        source_of_image(cut := shallow(1))
    git(cut, "fetch", "--quiet", "--unshallow")
    assert source_of_image(cut) == source_of_image(repository)
    assert source_of_image(shallow(2)) == source_of_image(repository) != named
