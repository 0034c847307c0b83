"""The image's tag, from real repositories."""

from pathlib import Path

import pytest

from release.build import commit_in, commit_of_image, read_source, time_of_image
from release.errors import NotReadyError
from tests.release.conftest import commit_all, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one\n")
    commit_all(tmp_path)
    return tmp_path


def test_a_clean_tree_is_tagged_by_its_commit(repository: Path) -> None:
    source = read_source(repository)
    assert source.tag == git(repository, "rev-parse", "--short=12", "HEAD").strip()
    assert len(source.tag) == 12
    assert source.uncommitted == ()


def test_different_uncommitted_changes_have_different_tags(repository: Path) -> None:
    tags = [read_source(repository).tag]
    for content in ("two\n", "three\n"):
        (repository / "file").write_text(content)
        tags.append(read_source(repository).tag)
    for content in ("a", "b"):
        (repository / "untracked").write_text(content)
        tags.append(read_source(repository).tag)
    assert len(set(tags)) == 5
    assert all(tag.startswith(f"{tags[0]}-dirty-") for tag in tags[1:])


def test_the_same_uncommitted_content_has_the_same_tag(repository: Path) -> None:
    (repository / "file").write_text("two\n")
    first = read_source(repository).tag
    (repository / "file").write_text("three\n")
    (repository / "file").write_text("two\n")
    assert read_source(repository).tag == first


def test_a_staged_change_is_uncommitted_too(repository: Path) -> None:
    (repository / "file").write_text("two\n")
    git(repository, "add", "--all")
    source = read_source(repository)
    assert source.uncommitted == ("file",)
    assert "-dirty-" in source.tag


def test_ignored_files_leave_the_tree_clean(repository: Path) -> None:
    (repository / ".gitignore").write_text("secret\n")
    commit_all(repository)
    (repository / "secret").write_text("x")
    assert read_source(repository).uncommitted == ()


def test_many_uncommitted_files_are_counted_and_not_all_listed(repository: Path) -> None:
    for number in range(30):
        (repository / f"untracked-{number:02}").write_text("x")
    with pytest.raises(NotReadyError) as refused:
        read_source(repository).require_clean("dev")
    assert refused.value.details[0] == "untracked-00"
    assert refused.value.details[-1] == "and 20 more"


@pytest.mark.parametrize("tag", ["0123456789ab", "dev-0123456789ab", "prod-0123456789ab", "pr-12-0123456789ab"])
def test_a_tag_names_its_commit_with_or_without_a_stage(tag: str) -> None:
    assert commit_in(tag) == "0123456789ab"


def test_a_dirty_tag_keeps_what_tells_it_apart() -> None:
    assert commit_in("playground-0123456789ab-dirty-01234567") == "0123456789ab-dirty-01234567"


@pytest.mark.parametrize("tag", ["latest", "0123456", "dev-", "0123456789abcdef", "dev-0123456789ab-x"])
def test_another_tag_names_no_commit(tag: str) -> None:
    with pytest.raises(NotReadyError, match="expected the 12 digits"):
        commit_in(tag)


def test_only_what_the_image_holds_changes_the_commit_that_it_names(repository: Path) -> None:
    (repository / "app").mkdir()
    (repository / "app" / "api.py").write_text("one\n")
    commit_all(repository)
    named, dated = commit_of_image(repository), time_of_image(repository)
    assert dated == git(repository, "log", "-1", "--format=%ct").strip()
    assert named == git(repository, "rev-parse", "--short=12", "HEAD").strip()
    (repository / "README.md").write_text("another\n")
    commit_all(repository)
    assert (commit_of_image(repository), time_of_image(repository)) == (named, dated)
    (repository / "app" / "api.py").write_text("two\n")
    assert commit_of_image(repository) == f"{named}-dirty"
    commit_all(repository)
    assert commit_of_image(repository) == git(repository, "rev-parse", "--short=12", "HEAD").strip()
