"""kill -9 loses no acknowledged comment, stores none twice and hides none from followers."""

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.app.conftest import Server, serving, wait_until
from tests.machine import needs
from tests.resilience.conftest import processes

KILLS = 3


class Users:
    """Four users post and retry with an idempotency key until the service acknowledges; one follows the thread."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.acknowledged: dict[str, str] = {}
        self.followed: list[str] = []
        self._stop = threading.Event()
        self._posters = [threading.Thread(target=self._post, args=(name,)) for name in "abcd"]
        self._follower = threading.Thread(target=self._follow)

    def start(self) -> None:
        for thread in (*self._posters, self._follower):
            thread.start()

    def finish(self) -> None:
        self._stop.set()
        for thread in (*self._posters, self._follower):
            thread.join()

    def ask(self, method: str, path: str, body: str | None = None, key: str = "") -> tuple[str, str | None]:
        """Retry until the response is 200; return its body and Link header."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key} if body else {}
        while True:
            connection = HTTPConnection("127.0.0.1", self.server.port, timeout=10)
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                text = response.read().decode()
                assert response.status == 200, text
                return text, response.headers["Link"]
            except (OSError, HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()

    def post(self, text: str) -> None:
        new = json.dumps({"email": "reader@example.com", "comment": text, "content_id": 1})
        self.acknowledged[text] = json.loads(self.ask("POST", "/api/comment/new", new, text)[0])["id"]

    def _post(self, name: str) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            self.post(f"{name}-{number}")

    def _follow(self) -> None:
        path = "/api/comment/list/1"
        while True:
            last_round = not any(poster.is_alive() for poster in self._posters)
            page, link = self.ask("GET", path)
            self.followed += [comment["id"] for comment in json.loads(page)]
            assert link
            if last_round and 'results="false"' in link:
                return
            path = link[1 : link.index(">")]


def test_kills_of_workers_and_masters_lose_double_and_hide_nothing(tmp_path: Path) -> None:
    needs(sys.platform == "linux", "finds the workers of a master in /proc")
    settings = {"WEB_CONCURRENCY": "2"}
    with ExitStack() as servers:
        server = servers.enter_context(serving(tmp_path, settings))
        users = Users(server)
        users.post("first")  # so that there is a thread to follow
        users.start()
        for _ in range(KILLS):
            wait_for_more(users)
            os.kill(processes(server.process.pid)[1], signal.SIGKILL)
        for _ in range(KILLS):
            wait_for_more(users)
            os.kill(users.server.process.pid, signal.SIGKILL)
            # The orphaned workers serve beside the new ones until they notice.
            users.server = servers.enter_context(serving(tmp_path, settings))
        wait_for_more(users)
        users.finish()
        listed: list[dict[str, str]] = []
        path = "/api/comment/list/1?limit=1000"
        while page := json.loads(users.ask("GET", path)[0]):
            listed += page
            path = f"/api/comment/list/1?limit=1000&after={page[-1]['id']}"
    assert users.acknowledged.items() <= {comment["comment"]: comment["id"] for comment in listed}.items()
    assert max(Counter(comment["comment"] for comment in listed).values()) == 1
    assert set(users.followed) == {comment["id"] for comment in listed}


def wait_for_more(users: Users) -> None:
    """Wait until comments are acknowledged again."""
    before = len(users.acknowledged)
    wait_until(lambda: len(users.acknowledged) > before + 10, users.server.process)
