"""Builds and pushes the image of a commit with git and Docker."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from infra.stages import Architecture
from release.aws import PROJECT_ROOT
from release.command import run
from release.errors import CommandError, NotReadyError
from release.explain import explain_denial

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

IMAGE_FILES = ("app", "requirements.txt", "Dockerfile", ".dockerignore")
"""Files that the image is built from."""
_IMAGE_TAG = re.compile(r"(?:[a-z][a-z0-9-]*-)?(?P<commit>[0-9a-f]{12}(?:-dirty-[0-9a-f]{8})?)")
_FILES_SHOWN = 10
_LINE_LENGTH = 100
_BUILD_STEP = re.compile(r"Step \d+/\d+ : |#\d+ \[")  # of the legacy builder, and of BuildKit


@dataclass(frozen=True)
class Source:
    """State of the working tree."""

    uncommitted: tuple[str, ...]
    """Paths that differ from the commit, including untracked ones."""
    tag: str
    """Tag of the image: the commit, and a hash of uncommitted changes, so that different content never shares a tag."""

    def require_clean(self, stage: str) -> None:
        """Raise NotReadyError with the uncommitted files, if there are any."""
        if self.uncommitted:
            more = len(self.uncommitted) - _FILES_SHOWN
            raise NotReadyError(
                f"uncommitted changes: {stage} takes only committed code; commit them, or run `git stash -u`",
                *self.uncommitted[:_FILES_SHOWN],
                *([f"and {more} more"] if more > 0 else []),
            )


def read_source(root: Path = PROJECT_ROOT, *, environment: Mapping[str, str] = os.environ) -> Source:
    """Read the working tree with git; raise NotReadyError if there is no commit."""

    def git(*arguments: str) -> list[str]:
        return run(["git", *arguments], cwd=root, environment=environment)

    try:
        (commit,) = git("rev-parse", "--short=12", "--verify", "HEAD")
    except CommandError as error:
        raise NotReadyError(
            "no git commit here: run this in a clone, because the image is named after its commit", *error.details
        ) from error
    commit = commit[:12]  # git prints more digits if 12 are ambiguous
    changed = git("-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=all")
    if not changed:
        return Source((), commit)
    content = hashlib.sha256("\n".join(git("diff", "--binary", "HEAD")).encode())
    for path in git("-c", "core.quotePath=false", "ls-files", "--others", "--exclude-standard"):
        content.update(path.encode() + b"\0")
        if (root / path).is_file():
            content.update((root / path).read_bytes())
    return Source(tuple(line[3:] for line in changed), f"{commit}-dirty-{content.hexdigest()[:8]}")


def commit_of_image(root: Path = PROJECT_ROOT, *, environment: Mapping[str, str] = os.environ) -> str:
    """Return the last commit that changed the image's files, with `-dirty` if they have uncommitted changes.

    With the current commit instead, an unchanged image would get another digest and every task would be replaced.
    """
    changed = run(["git", "status", "--porcelain", "--", *IMAGE_FILES], cwd=root, environment=environment)
    return _last_change("%H", root, environment)[:12] + ("-dirty" if changed else "")


def time_of_image(root: Path = PROJECT_ROOT, *, environment: Mapping[str, str] = os.environ) -> str:
    """Return the Unix time of that commit. As the image's creation time, it makes the digest reproducible."""
    return _last_change("%ct", root, environment) or "0"


def _last_change(field: str, root: Path, environment: Mapping[str, str]) -> str:
    """Return a field of the last commit that changed the image's files; empty if none has."""
    log = run(["git", "log", "-1", f"--format={field}", "--", *IMAGE_FILES], cwd=root, environment=environment)
    return "".join(log)


def commit_in(tag: str) -> str:
    """Return the commit in an image's tag, `abc…` or `dev-abc…`; raise NotReadyError if there is none."""
    match = _IMAGE_TAG.fullmatch(tag)
    if not match:
        raise NotReadyError(f"--tag {tag}: expected the 12 digits of a commit, as in 0123456789ab or dev-0123456789ab")
    return match["commit"]


def require_docker(environment: Mapping[str, str]) -> str:
    """Return the version of the Docker daemon; raise NotReadyError if it is missing or doesn't respond."""
    try:
        return run(["docker", "version", "--format", "{{.Server.Version}}"], environment=environment)[-1]
    except CommandError as error:
        raise NotReadyError("Docker's daemon does not respond: start it", *error.details[-1:]) from error
    except NotReadyError:
        raise NotReadyError(
            "Docker is not installed; it builds the image: https://docs.docker.com/engine/install/"
        ) from None


def build(
    reference: str, *, architecture: Architecture, environment: Mapping[str, str], note: Callable[[str], None]
) -> None:
    """Build the image of the working tree; raise CommandError with Docker's last lines."""
    base = environment.get("BASE_IMAGE")
    command = [
        "docker",
        "build",
        f"--platform={architecture.value}",
        f"--tag={reference}",
        *([f"--build-arg=BASE_IMAGE={base}"] if base else []),
        f"--build-arg=COMMENTS_COMMIT={commit_of_image(environment=environment)}",
        ".",
    ]
    date = time_of_image(environment=environment)
    run(
        command,
        environment={**environment, "BUILDKIT_PROGRESS": "plain", "SOURCE_DATE_EPOCH": date},
        on_line=lambda line: note(shorten(line, _LINE_LENGTH)) if _BUILD_STEP.match(line) else None,
    )


def push(reference: str, *, ecr: ECRClient, account: str, environment: Mapping[str, str]) -> None:
    """Push with temporary credentials, without changing the user's Docker settings; raise CommandError."""
    user, password = registry_credentials(ecr, account)
    login = ["docker", "login", f"--username={user}", "--password-stdin", reference.partition("/")[0]]
    with tempfile.TemporaryDirectory(prefix="comments-docker-") as folder:
        isolated = {**environment, "DOCKER_CONFIG": folder, "DOCKER_HOST": _docker_host(environment)}
        run(login, environment=isolated, stdin=password)
        try:
            run(["docker", "push", reference], environment=isolated)
        except CommandError as error:
            denial = explain_denial("\n".join(error.details))
            raise CommandError(denial or error.summary, *error.details) from error


def registry_credentials(ecr: ECRClient, account: str) -> tuple[str, str]:
    """Return user and password for the registry. They expire after twelve hours."""
    (authorization,) = ecr.get_authorization_token(registryIds=[account])["authorizationData"]
    user, _, password = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
    return user, password


def _docker_host(environment: Mapping[str, str]) -> str:
    """Return the daemon's address. A context's address would be lost with another DOCKER_CONFIG."""
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"]
    template = "{{.Endpoints.docker.Host}}"
    return run(["docker", "context", "inspect", f"--format={template}"], environment=environment)[-1]
