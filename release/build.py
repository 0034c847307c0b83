"""Builds the image for one platform and pushes it, with whichever builder Docker has."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import TYPE_CHECKING

from infra.stages import Architecture
from release import denials
from release.errors import CommandError, NotReadyError
from release.source import commit_of_image, time_of_image
from release.tools import run

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

_COLUMNS = 100
_BUILD_STEP = re.compile(r"Step \d+/\d+ : |#\d+ \[")  # the legacy builder's, and buildx's


def require_docker(environment: Mapping[str, str]) -> str:
    """Return the version of the daemon, or raise NotReadyError: not installed, or not answering."""
    try:
        answer = run(["docker", "version", "--format", "{{.Server.Version}}"], environment=environment)
    except CommandError as error:
        raise NotReadyError("Docker's daemon does not answer: start it", *error.details[-1:]) from error
    except NotReadyError:
        raise NotReadyError(
            "Docker is not installed; it builds the image: https://docs.docker.com/engine/install/"
        ) from None
    return answer[-1]


def build(
    reference: str, *, architecture: Architecture, environment: Mapping[str, str], note: Callable[[str], None]
) -> None:
    """Build the working tree's image; raise CommandError with Docker's last lines."""
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
    # BuildKit dates the image by this, and not by the clock, so that one commit has one digest.
    date = time_of_image(environment=environment)
    plain = {**environment, "BUILDKIT_PROGRESS": "plain", "SOURCE_DATE_EPOCH": date}
    run(
        command,
        environment=plain,
        on_line=lambda line: note(shorten(line, _COLUMNS)) if _BUILD_STEP.match(line) else None,
    )


def push(reference: str, *, ecr: ECRClient, account: str, environment: Mapping[str, str]) -> None:
    """Push with a short-lived password that never reaches the person's own Docker settings."""
    host = reference.partition("/")[0]
    (authorization,) = ecr.get_authorization_token(registryIds=[account])["authorizationData"]
    user, _, password = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
    with tempfile.TemporaryDirectory(prefix="comments-docker-") as folder:
        alone = {**environment, "DOCKER_CONFIG": folder, "DOCKER_HOST": _daemon(environment)}
        run(["docker", "login", f"--username={user}", "--password-stdin", host], environment=alone, stdin=password)
        try:
            run(["docker", "push", reference], environment=alone)
        except CommandError as error:
            denial = denials.explained("\n".join(error.details))
            raise CommandError(denial or error.summary, *error.details) from error


def _daemon(environment: Mapping[str, str]) -> str:
    """Return the daemon's address: the context that holds it is out of sight with another DOCKER_CONFIG."""
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"]
    format_ = "{{.Endpoints.docker.Host}}"
    return run(["docker", "context", "inspect", f"--format={format_}"], environment=environment)[-1]
