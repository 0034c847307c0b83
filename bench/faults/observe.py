"""Clients of the service while its store misbehaves, and what they see."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CLIENTS = 12
"""More than a worker has threads."""

THREAD = 4711
OK, NOT_FOUND, UNAVAILABLE = 200, 404, 503
PATIENCE = 30.0


@dataclass
class Seen:
    """Statuses, the slowest answer of each path in seconds, and answers that were wrong."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    recovery: float = 0.0

    def note(self, what: str, status: int, seconds: float) -> None:
        self.statuses[status] += what == "api"
        self.slowest[what] = max(seconds, self.slowest.get(what, 0.0))


class Observer:
    """Knows what the thread holds: every acknowledged comment, and those whose answer was a failure."""

    def __init__(self, port: int, *, rounds: int) -> None:
        """Each client posts and reads so many times under each fault."""
        self._port = port
        self._rounds = rounds
        self.acknowledged: dict[str, str] = {}
        self._refused: list[str] = []
        self._number = 0
        self._lock = threading.Lock()

    def watch(self, during: Callable[[], None], after: Callable[[], None]) -> Seen:
        """Break the store, ask for everything, mend it, and see how soon all is well again."""
        seen = Seen()
        during()
        stop = threading.Event()
        checks = threading.Thread(target=self._check, args=(seen, stop))
        clients = [threading.Thread(target=self._client, args=(seen,)) for _ in range(CLIENTS)]
        for thread in (checks, *clients):
            thread.start()
        for thread in clients:
            thread.join()
        stop.set()
        checks.join()
        after()
        began = time.monotonic()
        while self._read(seen, count=False) != OK and time.monotonic() - began < PATIENCE:
            time.sleep(0.02)
        seen.recovery = time.monotonic() - began
        self._try_again(seen)
        self._compare(seen)
        return seen

    def _client(self, seen: Seen) -> None:
        for _ in range(self._rounds):
            self._post(seen)
            self._read(seen)

    def _check(self, seen: Seen, stop: threading.Event) -> None:
        """Ask what needs no store, as the balancer and a browser do."""
        while not stop.wait(0.1):
            for path in ("/healthz", "/openapi.json"):
                status, _, seconds = self._ask("GET", path)
                seen.note(path, status, seconds)
                if status != OK:
                    seen.wrong.append(f"{path}: {status}")

    def _try_again(self, seen: Seen) -> None:
        """Post what was refused, under its key: some of it is stored already, and only its answer was lost."""
        refused, self._refused = self._refused, []
        for text in refused:
            self._post(seen, text)
        if self._refused:
            seen.wrong.append(f"{len(self._refused)} posts are refused by a store that is well again")

    def _post(self, seen: Seen, again: str = "") -> None:
        with self._lock:
            self._number += not again
            text = again or f"number {self._number}"
        status, body, seconds = self._ask("POST", "/api/comment/new", text)
        seen.note("again" if again else "api", status, seconds)
        if status == OK:
            self.acknowledged[text] = body["id"]
        elif status == UNAVAILABLE:
            self._refused.append(text)
        else:
            seen.wrong.append(f"POST: {status}")

    def _read(self, seen: Seen, *, count: bool = True) -> int:
        before = dict(self.acknowledged)
        status, body, seconds = self._ask("GET", f"/api/comment/list/{THREAD}")
        if count:
            seen.note("api", status, seconds)
        if status == OK and not before.items() <= {comment["comment"]: comment["id"] for comment in body}.items():
            seen.wrong.append("GET: a comment is missing or altered")
        elif status not in {OK, UNAVAILABLE} and (before or status != NOT_FOUND):
            seen.wrong.append(f"GET: {status}")
        return status

    def _compare(self, seen: Seen) -> None:
        """Everything acknowledged is there once, although posts under a key were tried again inside the service."""
        _, body, _ = self._ask("GET", f"/api/comment/list/{THREAD}")
        texts = Counter(comment["comment"] for comment in body)
        seen.wrong += [f"{text!r} is there {count} times" for text, count in texts.items() if count > 1]
        seen.wrong += [f"{text!r} is lost" for text in self.acknowledged if text not in texts]

    def _ask(self, method: str, path: str, text: str = "") -> tuple[int, Any, float]:
        comment = {"email": "reader@example.com", "comment": text, "content_id": THREAD}
        headers = {"Content-Type": "application/json", "Idempotency-Key": text.replace(" ", "-")} if text else {}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        before = time.monotonic()
        try:
            connection.request(method, path, json.dumps(comment) if text else None, headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status == UNAVAILABLE and not answer.headers["Retry-After"]:
                return 0, body, time.monotonic() - before
            return answer.status, body, time.monotonic() - before
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None, time.monotonic() - before
        finally:
            connection.close()
