"""What a rollback says that it undoes, from a real history."""

import os
from pathlib import Path

import pytest

from release.history import effect
from tests.release.support import commit_all, git


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository of four commits: three in a row, and one beside the last two."""
    git(tmp_path, "init", "--quiet")
    commits = []
    for name in ("one", "two", "three"):
        (tmp_path / name).touch()
        commits.append(commit_all(tmp_path))
    git(tmp_path, "checkout", "--quiet", "-b", "beside", commits[0])
    (tmp_path / "four").touch()
    return tmp_path, [*commits, commit_all(tmp_path)]


def said(root: Path, running: list[str], tag: str) -> list[str]:
    return list(effect(running, tag, environment=os.environ, root=root))


def test_a_rollback_names_each_commit_that_it_undoes(history: tuple[Path, list[str]]) -> None:
    root, (one, two, three, _) = history
    lines = said(root, [three, f"prod-{three}"], f"dev-{one}")
    assert lines[:3] == [f"undoes 2 commits since {one}", f"  {three} a commit", f"  {two} a commit"]
    assert len(lines) == 4
    assert "only the image changes hands" in lines[3]


def test_a_promotion_names_what_it_brings(history: tuple[Path, list[str]]) -> None:
    root, (_, two, three, _) = history
    assert said(root, [f"prod-{two}"], f"dev-{three}")[:2] == [
        f"brings 1 commit since {two}",
        f"  {three} a commit",
    ]


def test_commits_of_another_branch_are_both_undone_and_brought(history: tuple[Path, list[str]]) -> None:
    root, (one, two, _, beside) = history
    lines = said(root, [two], beside)
    assert f"undoes 1 commit since {beside}" in lines
    assert f"brings 1 commit since {two}" in lines
    assert not any(one in line for line in lines)


def test_the_same_commit_undoes_nothing(history: tuple[Path, list[str]]) -> None:
    root, (one, *_) = history
    assert said(root, [f"dev-{one}"], one) == [f"{one} runs already: nothing is undone"]


def test_a_commit_that_this_clone_has_not_is_named(history: tuple[Path, list[str]]) -> None:
    root, (one, *_) = history
    (line,) = said(root, ["prod-0123456789ab"], one)
    assert f"from 0123456789ab to {one}" in line
    assert "`git fetch` first" in line


def test_a_long_history_is_cut_and_counted(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commits = []
    for number in range(21):
        (tmp_path / "file").write_text(str(number))
        commits.append(commit_all(tmp_path))
    lines = said(tmp_path, [commits[-1]], commits[0])
    assert lines[0] == f"undoes 20 commits since {commits[0]}"
    assert lines[16] == "  and 5 more"
