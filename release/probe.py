"""Reads from a stage while it is being deployed: where nobody else comes by, its alarms would have nothing to see."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from release.answers import THREAD, get

PAUSE_SECONDS = 0.5
"""The alarm on 5xx takes five in a minute, and half of the requests may meet tasks of the version before."""


class Probe:
    """From `__enter__` to `__exit__` an empty thread is asked for; what the answers are worth is for ECS to say.

    Without an address there is nothing to ask: a stage's first deployment.
    """

    def __init__(self, base_url: str | None) -> None:
        self._url = f"{base_url}/api/comment/list/{THREAD}" if base_url else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="probe", daemon=True)

    def __enter__(self) -> Self:
        if self._url:
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._ended.set()  # and no join: the last answer is of no interest

    def _ask(self) -> None:
        while self._url and not self._ended.wait(PAUSE_SECONDS):
            with suppress(OSError, http.client.HTTPException):
                get(self._url)
