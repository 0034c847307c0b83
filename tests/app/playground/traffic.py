"""Load generator whose clients post and read comments continuously and record every failed request."""

import http.client
import itertools
import json
import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from tests.client import ask

CLIENTS = 2
PAUSE_SECONDS = 0.2
"""At most 10 requests per second, half of them posts. A request takes 17 ms of CPU, all processes together, so more
would take the CPU from the deployments."""
TIMEOUT_SECONDS = 30.0
MAX_CONTENT_ID = 2**53 - 1


@dataclass(frozen=True)
class Failure:
    """A failed request, as a user would have seen it."""

    client: int
    at: float
    what: str


@dataclass
class Traffic:
    """Context manager in which several clients alternate between POST and GET on keep-alive connections."""

    url: str
    acknowledged: dict[int, list[str]]
    """IDs that the service has confirmed, by content_id. Several Traffic instances can share this dictionary."""
    clients: int = CLIENTS
    failures: list[Failure] = field(default_factory=list)
    answered: int = 0

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert error or self.answered > self.clients, f"only {self.answered} requests were answered"

    def flow_for(self, seconds: float) -> None:
        """Keep the clients running for a while, to observe behavior before or after an event."""
        time.sleep(seconds)

    def _run(self, client: int) -> None:
        thread = random.randrange(1, MAX_CONTENT_ID)
        mine = self.acknowledged.setdefault(thread, [])
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)
        for number in itertools.count():
            if self._stop.wait(PAUSE_SECONDS):
                break
            try:
                if number % 2 == 0:
                    new = {"email": "reader@example.com", "comment": f"number {number}", "content_id": thread}
                    mine.append(str(_send(connection, "POST", "/api/comment/new", new)["id"]))
                else:
                    _send(connection, "GET", f"/api/comment/list/{thread}?limit=20")
                self.answered += 1
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(Failure(client, time.monotonic(), f"{type(error).__name__}: {error}"))
                connection.close()
        connection.close()


def _send(connection: http.client.HTTPConnection, method: str, path: str, new: object = None) -> Any:
    connection.request(method, path, json.dumps(new) if new else None, {"Content-Type": "application/json"})
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        raise ValueError(f"{response.status} {body[:200]!r}")
    return json.loads(body)


def listed(url: str, thread: int) -> set[str]:
    """Return all IDs in a thread, from all pages."""
    found: set[str] = set()
    path = f"/api/comment/list/{thread}"
    while path:
        page = ask(url + path)
        found |= {comment["id"] for comment in page.body}
        link = re.search(r'<([^>]+)>; rel="next"', page.headers.get("Link", ""))
        path = urljoin(path, link[1]) if link else ""
    return found


def missing(url: str, acknowledged: dict[int, list[str]]) -> set[str]:
    """Return the IDs that the service has confirmed but doesn't list."""
    return {one for thread, ids in acknowledged.items() if ids for one in set(ids) - listed(url, thread)}
