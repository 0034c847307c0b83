"""Says whether a release is one: what runs and answers, or else why not, and what can be done about it."""

from __future__ import annotations

import time
from collections.abc import Callable

from release import stacks, verify
from release.aws import Aws
from release.errors import NotVerifiedError, StoreSilentError
from release.images import images_of
from release.store import store_causes
from release.tail import errors


def prove(aws: Aws, digest: str, note: Callable[[str], None], *, before: str | None) -> str:
    """Return the public address, once the digest runs and the API answers there; `before` is what ran before."""
    tasks = verify.running_tasks(aws, digest)
    note(f"{len(tasks)} tasks run {digest}")
    containers = aws.platform.check_containers([task["taskArn"] for task in tasks], environment=aws.environment)
    if containers:
        note(containers)
    address = stacks.base_url(aws)
    began = time.time()
    try:
        verify.api_answers(address)
    except StoreSilentError as silent:
        causes = [f"cause: {meaning}" for meaning in store_causes(errors(aws, since=began))]
        raise StoreSilentError(silent.summary, *causes, way_back(aws, digest, before=before)) from silent
    except NotVerifiedError as wrong:
        raise NotVerifiedError(wrong.summary, way_back(aws, digest, before=before)) from wrong
    note(f"the API answers at {address}, and so does its store")
    return address


def way_back(aws: Aws, digest: str, *, before: str | None) -> str:
    """Say what a release leaves that ECS has found healthy and we have not: nothing rolls that back by itself."""
    if before == digest:
        return "nothing was rolled back: the image is the one that ran before"
    stage = aws.stage.name
    tags = images_of(aws).tags(before) if before else []
    tag = next((tag for tag in tags if tag.startswith(f"{stage}-")), None)
    if not tag:
        return "nothing was rolled back: no other version has run here"
    return f"nothing was rolled back: what ran before is `make deploy ENV={stage} TAG={tag}`"
