"""Whom an account trusts, as data: one role for each kind of workflow run on GitHub, and what it may do."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from infra import permissions
from infra.drift_permissions import DRIFT

ISSUER = "token.actions.githubusercontent.com"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """A kind of workflow run on GitHub, and what it may do here."""

    role: str
    subjects: tuple[str, ...]
    """What follows `repo:OWNER/NAME:` in the subject of GitHub's token."""
    statements: tuple[permissions.Statement, ...]
    why: str

    @property
    def actions(self) -> Iterator[str]:
        return (action for statement in self.statements for action in statement.actions)

    def grants(self, action: str) -> bool:
        """Whether a statement names the action, whatever on; IAM takes no notice of case."""
        return any(fnmatchcase(action.lower(), granted.lower()) for granted in self.actions)


TRUSTS = (
    Trust(
        role="comments-deploy-dev",
        subjects=("environment:dev",),
        statements=(permissions.DEPLOY, *permissions.PUSH, *permissions.RELEASE, *permissions.OBSERVE),
        why="main, after its checks",
    ),
    Trust(
        role="comments-deploy-prod",
        subjects=("environment:prod",),
        statements=(permissions.DEPLOY, permissions.TAG, *permissions.RELEASE, *permissions.OBSERVE),
        why="a digest that dev proved, after approval; it cannot push one of its own",
    ),
    Trust(
        role="comments-preview",
        subjects=("pull_request", "ref:refs/heads/main"),
        statements=(
            permissions.DEPLOY,
            *permissions.PUSH,
            *permissions.RELEASE,
            *permissions.OBSERVE,
            *permissions.CLEAN_UP,
        ),
        why="a pull request's preview, and from main its end; GitHub gives no token to a fork's",
    ),
    Trust(
        role="comments-read",
        subjects=("ref:refs/heads/main", "pull_request"),
        statements=(*permissions.OBSERVE, *DRIFT),
        why="diff and drift, which change nothing",
    ),
)
