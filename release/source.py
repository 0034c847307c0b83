"""What is being released: the commit, whether the tree is clean, and the image tag that follows from both."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from release.errors import CommandError, NotReadyError
from release.tools import PROJECT_ROOT, run

_IMAGE_TAG = re.compile(r"(?:[a-z][a-z0-9-]*-)?(?P<commit>[0-9a-f]{12}(?:-dirty-[0-9a-f]{8})?)")
_FILES_NAMED = 10
IMAGE_FILES = ("app", "requirements.txt", "Dockerfile", ".dockerignore")
"""What the image is made of."""


@dataclass(frozen=True)
class Source:
    """A working tree, as git sees it."""

    commit: str
    """12 hexadecimal digits."""
    uncommitted: tuple[str, ...]
    """Paths that differ from the commit, the untracked included."""
    tag: str
    """Of the image: the commit, and a hash of what is uncommitted, so that each content has its own."""

    def require_clean(self, stage: str) -> None:
        """Raise NotReadyError, which names the files, if the commit would not tell what is released."""
        if self.uncommitted:
            more = len(self.uncommitted) - _FILES_NAMED
            raise NotReadyError(
                f"uncommitted changes: {stage} takes committed code only; commit them, or `git stash -u` them",
                *self.uncommitted[:_FILES_NAMED],
                *([f"and {more} more"] if more > 0 else []),
            )


def read_source(root: Path = PROJECT_ROOT, *, environment: Mapping[str, str] = os.environ) -> Source:
    """Raise NotReadyError where there is no commit to release."""

    def git(*arguments: str) -> list[str]:
        return run(["git", *arguments], cwd=root, environment=environment)

    try:
        (commit,) = git("rev-parse", "--short=12", "--verify", "HEAD")
    except CommandError as error:
        raise NotReadyError(
            "no git commit here, and the image is tagged by one: use a clone", *error.details
        ) from error
    commit = commit[:12]  # git prints more digits where 12 are ambiguous
    changed = git("-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=all")
    if not changed:
        return Source(commit, (), commit)
    content = hashlib.sha256("\n".join(git("diff", "--binary", "HEAD")).encode())
    for path in git("-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard"):
        content.update(path.encode() + b"\0")
        if (root / path).is_file():
            content.update((root / path).read_bytes())
    return Source(commit, tuple(line[3:] for line in changed), f"{commit}-dirty-{content.hexdigest()[:8]}")


def commit_of_image(root: Path = PROJECT_ROOT, *, environment: Mapping[str, str] = os.environ) -> str:
    """Return the last commit that changed what the image holds, `-dirty` behind it where it is changed since.

    With the commit at hand instead, every commit would give the same image another digest, and replace every task.
    """
    changed = run(["git", "status", "--porcelain", "--", *IMAGE_FILES], cwd=root, environment=environment)
    return _last_of_image("%H", root, environment)[:12] + ("-dirty" if changed else "")


def time_of_image(root: Path = PROJECT_ROOT, *, environment: Mapping[str, str] = os.environ) -> str:
    """Return when that commit was made, in seconds since 1970: the image's own time, so that its digest repeats."""
    return _last_of_image("%ct", root, environment) or "0"


def _last_of_image(what: str, root: Path, environment: Mapping[str, str]) -> str:
    """Return what git's format names of the last commit that changed the image; empty if none has."""
    return "".join(run(["git", "log", "-1", f"--format={what}", "--", *IMAGE_FILES], cwd=root, environment=environment))


def commit_in(tag: str) -> str:
    """Return the commit that an image's tag names, `abc…` or `dev-abc…`; raise NotReadyError if it names none."""
    match = _IMAGE_TAG.fullmatch(tag)
    if not match:
        raise NotReadyError(f"--tag {tag}: expected the 12 digits of a commit, as in 0123456789ab or dev-0123456789ab")
    return match["commit"]
