"""What runs, where and since when; on ECS the task's metadata says which image it is."""

import json
import os
import threading
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from comments.telemetry import now

VERSION = "0.1.0"
"""As in pyproject.toml, which is not in the image; a test holds the two together."""

TIMEOUT = 1
"""Seconds for ECS's agent, which is on the same machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Fields that nobody could tell are None."""

    version: str
    commit: str | None
    digest: str | None
    region: str | None
    started_at: str


class Runtime:
    """This process. The metadata is asked for with the first request, until it has answered once."""

    def __init__(self, *, commit: str) -> None:
        self._asking = threading.Lock()
        self._asked = False
        self._running = Running(
            version=VERSION,
            commit=commit or None,
            digest=None,
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            started_at=now(),
        )

    def describe(self) -> Running:
        address = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
        if address and not self._asked and self._asking.acquire(blocking=False):
            try:
                self._running = _on_ecs(self._running, _metadata(address))
                self._asked = True
            except (OSError, HTTPException, ValueError):
                pass  # the next request asks again; a status page must not fail for want of a digest
            finally:
                self._asking.release()
        return self._running


def _metadata(address: str) -> dict[str, object]:
    url = urlsplit(address)
    connection = HTTPConnection(url.hostname or "", url.port or 80, timeout=TIMEOUT)
    try:
        connection.request("GET", url.path)
        answer = connection.getresponse().read()
    finally:
        connection.close()
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise ValueError("the task's metadata is not an object")  # noqa: TRY004  # one kind for all bad answers
    return found


def _on_ecs(running: Running, metadata: dict[str, object]) -> Running:
    """Read the container's metadata, version 4: Image is what the task definition names, here by digest."""
    image, labels = metadata.get("Image"), metadata.get("Labels")
    digest = image.partition("@")[2] if isinstance(image, str) else ""
    arn = labels.get("com.amazonaws.ecs.task-arn", "") if isinstance(labels, dict) else ""
    parts = arn.split(":") if isinstance(arn, str) else []
    region = parts[3] if len(parts) > 3 else ""  # noqa: PLR2004  # arn:aws:ecs:REGION:…
    return replace(running, digest=digest or None, region=region or running.region)
