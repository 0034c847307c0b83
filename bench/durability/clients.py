"""Clients that post under a key until they are answered, and one that follows the thread: who would notice a loss."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from comments.ids import TICKS, id_at, tick_of

POSTERS = 6
TIMEOUT = 5.0
"""Seconds for an answer, before the client tries again."""

PAUSE = 0.03
"""Seconds before a client tries again."""

PATIENCE = 60.0
"""Seconds in which an answer must come, however often it is asked for; longer than a task takes to be replaced."""

PAGE = 1000
OK = 200
NOT_FOUND = 404


@dataclass
class Ledger:
    """What the service has said: the id of each acknowledged comment by its text, and what the follower has seen."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)
    retries: Counter[str] = field(default_factory=Counter)
    """Attempts that were not answered with success, by what came instead."""
    gave_up: int = 0


class Clients:
    """A context manager; at its end every client finishes what it has begun."""

    def __init__(self, url: str, *, thread: int, back: float = 0.0, pace: float = 0.0) -> None:
        """Post to this thread, each client every `pace` seconds at the most.

        The follower goes back so many seconds, as the store's documentation says.
        """
        address = urlsplit(url)
        self.ledger = Ledger()
        self._host, self._port = address.hostname or "", address.port or 80
        self._thread = thread
        self._back = int(back * 1000 * TICKS)
        self._pace = pace
        self._stop = threading.Event()
        self._posters = [threading.Thread(target=self._post_all, args=(name,)) for name in range(POSTERS)]
        self._follower = threading.Thread(target=self._follow)

    def __enter__(self) -> Self:
        for thread in (*self._posters, self._follower):
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in (*self._posters, self._follower):
            thread.join()

    def listed(self) -> list[dict[str, Any]]:
        """Return the whole thread."""
        comments: list[dict[str, Any]] = []
        while page := self._page(comments[-1]["id"] if comments else None):
            comments += page
        return comments

    def _post_all(self, name: int) -> None:
        connection = self._connection()
        for number in itertools.count():
            if self._stop.is_set():
                break
            self._post(connection, f"{name}-{number}")
            self._stop.wait(self._pace)
        connection.close()

    def _post(self, connection: http.client.HTTPConnection, text: str) -> None:
        """Post until it is acknowledged, always under the same key."""
        comment = {"email": "reader@example.com", "comment": text, "content_id": self._thread}
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{self._thread}-{text}"}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                connection.request("POST", "/api/comment/new", json.dumps(comment), headers)
                response = connection.getresponse()
                body = response.read()
                if response.status == OK:
                    self.ledger.acknowledged[text] = json.loads(body)["id"]
                    return
                self.ledger.retries[str(response.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.ledger.retries[type(error).__name__] += 1
                connection.close()
            time.sleep(PAUSE)
        self.ledger.gave_up += 1

    def _follow(self) -> None:
        """Read what is new, from the last comment on; a last time when everybody has posted."""
        last: str | None = None
        while True:
            posting = any(poster.is_alive() for poster in self._posters)
            after = id_at(max(0, tick_of(last) - self._back), random=0) if last and self._back else last
            page = self._page(after)
            self.ledger.followed.update(comment["id"] for comment in page)
            last = max([comment["id"] for comment in page], default=last)
            if not posting and len(page) < PAGE:
                return
            time.sleep(PAUSE)

    def _page(self, after: str | None) -> list[dict[str, Any]]:
        """Ask until there is an answer."""
        query = f"?limit={PAGE}&after={after}" if after else f"?limit={PAGE}"
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            connection = self._connection()
            try:
                connection.request("GET", f"/api/comment/list/{self._thread}{query}")
                response = connection.getresponse()
                body = response.read()
                if response.status == OK:
                    return list(json.loads(body))
                if response.status == NOT_FOUND:
                    return []
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(PAUSE)
        raise SystemExit(f"no answer within {PATIENCE:.0f} s: the thread cannot be read")

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
