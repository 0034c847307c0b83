"""The load of a soak: pages of 20, a post in ten, a wrong post in a hundred, over connections that come and go."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

CONTENT_IDS = 20
PER_CONNECTION = 100
"""Requests before a client opens a new connection: a descriptor that stays open shows itself."""
CLIENTS = 12
"""More than the eight threads of a worker, so that all of them are started."""
_TIMEOUT = 30
_JSON = {"Content-Type": "application/json"}


@dataclass
class Answers:
    """How many requests were answered as they should be, and what the others got instead."""

    right: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, got: str, wanted: str) -> None:
        with self._lock:
            if got == wanted:
                self.right += 1
            else:
                self.wrong[f"{got} instead of {wanted}"] += 1


@dataclass(frozen=True)
class Load:
    """Clients of one server."""

    host: str
    port: int
    answers: Answers = field(default_factory=Answers)

    def wait_until_up(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self._is_up():
            if time.monotonic() > end:
                raise SystemExit(f"error: the server did not answer within {seconds:g} s")
            time.sleep(0.05)

    def fill(self) -> None:
        """Give every thread a page, so that reading one costs the same from the start."""
        connection = self._connect()
        for number in range(CONTENT_IDS * 20):
            self._post(connection, number, "filled")
        connection.close()

    def run(self, *, seconds: float, rate: float | None = None) -> float:
        """Send `rate` requests a second, or one as soon as the last is answered; return how many a second were right.

        All connections are closed in the end.
        """
        before, began = self.answers.right, time.monotonic()
        clients = [threading.Thread(target=self._client, args=(number, seconds, rate)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return (self.answers.right - before) / (time.monotonic() - began)

    def _client(self, which: int, seconds: float, rate: float | None) -> None:
        pause = CLIENTS / rate if rate else 0.0
        now = time.monotonic()
        end, due = now + seconds, now + pause * which / CLIENTS
        connection = self._connect()
        sent = 0
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                self._request(connection, which * 7 + sent)
            except (OSError, HTTPException) as error:
                self.answers.count(type(error).__name__, "an answer")
                connection.close()
            sent += 1
            if sent % PER_CONNECTION == 0:
                connection.close()
            due = max(due + pause, time.monotonic())  # what came too late is not made up for
        connection.close()

    def _request(self, connection: HTTPConnection, number: int) -> None:
        if number % 100 == 0:
            connection.request("POST", "/api/comment/new", b'{"content_id": "wrong"}', _JSON)
            self._answer(connection, "400")
        elif number % 10 == 0:
            self._post(connection, number, f"comment {number} " + "x" * 100)
        else:
            connection.request("GET", f"/api/comment/list/{1 + number % CONTENT_IDS}?limit=20")
            self._answer(connection, "200")

    def _post(self, connection: HTTPConnection, number: int, comment: str) -> None:
        body = {"email": "alice@example.com", "comment": comment, "content_id": 1 + number % CONTENT_IDS}
        connection.request("POST", "/api/comment/new", json.dumps(body), _JSON)
        self._answer(connection, "200")

    def _answer(self, connection: HTTPConnection, wanted: str) -> None:
        answer = connection.getresponse()
        answer.read()
        self.answers.count(str(answer.status), wanted)

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(self.host, self.port, timeout=_TIMEOUT)

    def _is_up(self) -> bool:
        connection = HTTPConnection(self.host, self.port, timeout=1)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200  # noqa: PLR2004  # OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
