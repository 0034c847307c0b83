"""kill -9 loses no acknowledged comment, stores none twice and hides none from followers."""

import itertools
import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urljoin

from comments.http.paging import START
from tests.app.support import Server, serving, wait_until
from tests.client import Answer, ask
from tests.machine import needs

KILLS = 3


class Users:
    """Four users post and retry with an idempotency key until the service acknowledges; one follows the thread."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.acknowledged: dict[str, str] = {}
        self.followed: list[str] = []
        self.stop = threading.Event()

    def ask(self, path: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
        """Retry until there is a response, which must be 200."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError, HTTPException):
                answer = ask(self.server.url + path, method, body, **headers)  # of the newest server
                assert answer.status == 200, answer.body
                return answer
            time.sleep(0.02)
        raise AssertionError("no response for 30 s")

    def post(self, text: str) -> None:
        new = {"email": "reader@example.com", "comment": text, "content_id": 1}
        self.acknowledged[text] = self.ask("/api/comment/new", "POST", new, Idempotency_Key=text).body["id"]

    def keep_posting(self, name: str) -> None:
        numbers = itertools.count()
        while not self.stop.is_set():
            self.post(f"{name}-{next(numbers)}")

    def follow(self, posters: list[Future[None]]) -> None:
        path, last_page = "/api/comment/list/1", False
        while not last_page:
            finished = all(poster.done() for poster in posters)
            page = self.ask(path)
            self.followed += [comment["id"] for comment in page.body]
            link = page.headers["Link"]
            path = urljoin(path, link[1 : link.index(">")])
            last_page = finished and 'rel="monitor"' in link

    def wait_for_more(self) -> None:
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before + 10, self.server.process)


def test_kill_9_loses_duplicates_or_hides_no_comment(tmp_path: Path) -> None:
    needs(sys.platform == "linux", "finds the workers of a master in /proc")
    settings = {"WEB_CONCURRENCY": "2"}
    with ThreadPoolExecutor(5) as pool, ExitStack() as servers:
        users = Users(servers.enter_context(serving(tmp_path, settings)))
        servers.callback(users.stop.set)
        users.post("first")  # so that there is a thread to follow
        posters = [pool.submit(users.keep_posting, name) for name in "abcd"]
        follower = pool.submit(users.follow, posters)
        for _ in range(KILLS):
            users.wait_for_more()
            os.kill(users.server.workers[0], signal.SIGKILL)
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
        while page := users.ask(f"/api/comment/list/1?after={listed[-1]['id'] if listed else START}").body:
            listed += page
    assert users.acknowledged.items() <= {comment["comment"]: comment["id"] for comment in listed}.items()
    assert max(Counter(comment["comment"] for comment in listed).values()) == 1
    assert set(users.followed) == {comment["id"] for comment in listed}
