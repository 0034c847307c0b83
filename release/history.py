"""Says what releasing an older image undoes: the commits between what runs and what it was built from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from release.errors import CommandError
from release.tools import PROJECT_ROOT, run

_COMMITS_SHOWN = 15
_COMMIT = re.compile(r"([0-9a-f]{12})(?:-dirty-[0-9a-f]{8})?$")
_TEMPLATES = (
    "only the image changes hands: the templates are those of the commit that is checked out here;"
    " check the older one out to take the infrastructure back too"
)


def effect(running: list[str], tag: str, *, environment: Mapping[str, str], root: Path = PROJECT_ROOT) -> Iterator[str]:
    """Yield the lines that say what a release of `tag` undoes and brings, given the tags of the image that runs."""
    now, then = _commit(running), _commit([tag])
    if not now or not then:
        yield "nothing that git knows runs yet, so nothing is undone"
        return
    if now == then:
        yield f"{now} runs already: nothing is undone"
        return
    try:
        undone = _log(f"{then}..{now}", root=root, environment=environment)
        brought = _log(f"{now}..{then}", root=root, environment=environment)
    except CommandError:
        yield f"from {now} to {then}; this clone does not hold both, so it cannot say what is undone: `git fetch` first"
        return
    yield from _listed(f"undoes {_commits(undone)} since {then}", undone)
    yield from _listed(f"brings {_commits(brought)} since {now}", brought)
    yield _TEMPLATES


def _commit(tags: list[str]) -> str | None:
    """Return the commit that one of the tags of an image ends in."""
    return next((match[1] for tag in tags if (match := _COMMIT.search(tag))), None)


def _log(span: str, *, root: Path, environment: Mapping[str, str]) -> list[str]:
    return run(["git", "log", "--format=%h %s", "--abbrev=12", span], cwd=root, environment=environment)


def _listed(head: str, commits: list[str]) -> Iterator[str]:
    if not commits:
        return
    yield head
    yield from (f"  {line}" for line in commits[:_COMMITS_SHOWN])
    if len(commits) > _COMMITS_SHOWN:
        yield f"  and {len(commits) - _COMMITS_SHOWN} more"


def _commits(lines: list[str]) -> str:
    return "1 commit" if len(lines) == 1 else f"{len(lines)} commits"
