"""kill -9 loses no acknowledged comment, stores none twice and hides none from followers."""

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from comments.paging import START
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
        self.stop = threading.Event()

    def ask(self, method: str, path: str, body: str | None = None, key: str = "") -> tuple[Any, str]:
        """Retry until the response is 200; return its body and the path in its Link header."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key} if body else {}
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            address = f"127.0.0.1:{self.server.port}"  # of the newest server
            with suppress(OSError, HTTPException), closing(HTTPConnection(address, timeout=10)) as connection:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                text = response.read().decode()
                assert response.status == 200, text
                return json.loads(text), response.headers.get("Link", "")
            time.sleep(0.02)
        raise AssertionError("no response for 30 s")

    def post(self, text: str) -> None:
        new = json.dumps({"email": "reader@example.com", "comment": text, "content_id": 1})
        self.acknowledged[text] = self.ask("POST", "/api/comment/new", new, text)[0]["id"]

    def keep_posting(self, name: str) -> None:
        numbers = itertools.count()
        while not self.stop.is_set():
            self.post(f"{name}-{next(numbers)}")

    def follow(self, posters: list[Future[None]]) -> None:
        path, last_page = "/api/comment/list/1", False
        while not last_page:
            finished = all(poster.done() for poster in posters)
            page, link = self.ask("GET", path)
            self.followed += [comment["id"] for comment in page]
            path = link[1 : link.index(">")]
            last_page = finished and 'results="false"' in link

    def wait_for_more(self) -> None:
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before + 10, self.server.process)


def test_kill_9_loses_duplicates_or_hides_no_comment(tmp_path: Path) -> None:
    needs(sys.platform == "linux", "finds the workers of a master in /proc")
    settings = {"WEB_CONCURRENCY": "2"}
    with ThreadPoolExecutor(5) as pool, ExitStack() as servers:
        server = servers.enter_context(serving(tmp_path, settings))
        users = Users(server)
        servers.callback(users.stop.set)
        users.post("first")  # so that there is a thread to follow
        posters = [pool.submit(users.keep_posting, name) for name in "abcd"]
        follower = pool.submit(users.follow, posters)
        for _ in range(KILLS):
            users.wait_for_more()
            os.kill(processes(server.process.pid)[1], signal.SIGKILL)
        for _ in range(KILLS):
            users.wait_for_more()
            os.kill(users.server.process.pid, signal.SIGKILL)
            # The orphaned workers serve beside the new ones until they notice.
            users.server = servers.enter_context(serving(tmp_path, settings))
        users.wait_for_more()
        users.stop.set()
        for future in (*posters, follower):
            future.result()
        listed: list[dict[str, str]] = []
        while page := users.ask("GET", f"/api/comment/list/1?after={listed[-1]['id'] if listed else START}")[0]:
            listed += page
    assert users.acknowledged.items() <= {comment["comment"]: comment["id"] for comment in listed}.items()
    assert max(Counter(comment["comment"] for comment in listed).values()) == 1
    assert set(users.followed) == {comment["id"] for comment in listed}
