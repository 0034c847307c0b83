"""Following a thread: a client that repeats the request to `Link: rel="next"` misses no comment."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from comments import ids
from comments.app import create_app
from comments.config import load_settings
from comments.paging import Cursor, following
from comments.schemas import Comment
from comments.stores import CommentStore, Page
from tests.app import faults
from tests.app.conftest import Server, create_table

LIST = "/api/comment/list/1"

Get = Callable[[str], tuple[list[Comment], str]]
"""Request a URL; return the comments and the Link header."""


@dataclass
class Follower:
    """A client as the API documents it: it follows `next` and ignores comments whose id it knows."""

    url: str = f"{LIST}?limit=7"
    comments: dict[str, Comment] = field(default_factory=dict)

    def poll(self, get: Get) -> None:
        """Read pages until there are no more."""
        more = True
        while more:
            comments, link = get(self.url)
            self.comments |= {comment["id"]: comment for comment in comments}
            if link:  # an empty thread is a 404 without one
                assert 'rel="next"' in link
                self.url = link[link.index("<") + 1 : link.index(">")]
            more = 'results="true"' in link


def getter(server: Server) -> Get:
    def get(url: str) -> tuple[list[Comment], str]:
        with server.connect() as connection:
            connection.request("GET", url)
            response = connection.getresponse()
            return json.load(response) if response.status == 200 else [], response.getheader("Link", "")

    return get


def client_getter(client: FlaskClient) -> Get:
    def get(url: str) -> tuple[list[Comment], str]:
        response = client.get(url)
        return response.get_json() if response.status_code == 200 else [], response.headers.get("Link", "")

    return get


def post(server: Server, text: str) -> str:
    """Post a comment, again with the same key if that fails, and return its id."""
    body = json.dumps({"content_id": 1, "email": "alice@example.com", "comment": text})
    headers = {"Content-Type": "application/json", "Idempotency-Key": text}
    while True:
        with server.connect() as connection:
            connection.request("POST", "/api/comment/new", body, headers)
            response = connection.getresponse()
            posted: dict[str, Any] = json.load(response)
        if response.status == 200:
            return str(posted["id"])
        assert response.status == 503, posted


def follow(follower: Follower, servers: list[Server], writers: int, comments: int) -> list[str]:
    """Post concurrently to all servers while the follower polls them in turns; return the ids that were posted."""

    def write(writer: int) -> list[str]:
        return [post(servers[writer % len(servers)], f"{writer}-{number}") for number in range(comments)]

    with ThreadPoolExecutor(writers) as pool:
        posted = [pool.submit(write, writer) for writer in range(writers)]
        while not all(each.done() for each in posted):
            follower.poll(getter(random.choice(servers)))
    for server in servers:
        follower.poll(getter(server))
    return [comment_id for each in posted for comment_id in each.result()]


def test_a_follower_misses_nothing_that_two_sqlite_processes_write(serve: Callable[..., Server]) -> None:
    server, follower = serve(WEB_CONCURRENCY="2"), Follower()
    posted = follow(follower, [server], writers=6, comments=50)
    assert list(follower.comments) == sorted(posted)


@pytest.fixture
def proxy(dynamodb: str) -> Iterator[faults.Faults]:
    with faults.serving(dynamodb) as running:
        yield running


@pytest.fixture
def tasks(dynamodb: str, proxy: faults.Faults, serve: Callable[..., Server]) -> list[Server]:
    """Two servers on one table, the second one behind the proxy."""
    table = create_table()
    return [serve(COMMENTS_STORE=f"dynamodb://{table}", AWS_ENDPOINT_URL_DYNAMODB=url) for url in (dynamodb, proxy.url)]


def test_a_follower_misses_nothing_that_two_dynamodb_tasks_write(tasks: list[Server], proxy: faults.Faults) -> None:
    chance = random.Random(1)

    def unreliable(exchange: faults.Exchange) -> None:
        if exchange.operation != "Query":
            time.sleep(chance.uniform(0, 0.2))
        chance.choices([faults.well, faults.lose, faults.reset], [8, 1, 1])[0](exchange)

    proxy.always = unreliable
    follower = Follower()
    posted = follow(follower, tasks, writers=6, comments=25)
    assert set(follower.comments) == set(posted)


def test_a_follower_gets_a_comment_that_dynamodb_stores_after_newer_ones(
    tasks: list[Server], proxy: faults.Faults
) -> None:
    direct, delayed = tasks

    def late(exchange: faults.Exchange) -> None:
        time.sleep(1.5)  # shorter than the read timeout
        faults.well(exchange)

    follower = Follower()
    early = post(direct, "early")
    proxy.script = [faults.well, faults.hang, faults.hang, late]
    with ThreadPoolExecutor(1) as pool:
        retried = pool.submit(post, delayed, "retried")
        while len(proxy.operations) < 3:  # its id is assigned, and its first attempt has timed out
            time.sleep(0.01)
        newer = post(direct, "newer")
        follower.poll(getter(direct))
        follower.poll(getter(direct))
        assert list(follower.comments) == [early, newer]
        late_id = retried.result()
    assert proxy.operations == ["GetItem", *["TransactWriteItems"] * 3]
    assert early < late_id < newer
    missed, _ = getter(direct)(f"{LIST}?after={newer}")
    assert missed == []
    follower.poll(getter(direct))
    assert set(follower.comments) == {early, late_id, newer}


def test_a_follower_gets_approved_comments(store: CommentStore) -> None:
    token = "the-moderators-token"
    app = create_app(load_settings(moderator_token=token, moderation=True), store)
    client, moderator = app.test_client(), {"Authorization": f"Bearer {token}"}
    comment = {"content_id": 1, "email": "alice@example.com", "comment": "held"}
    held = client.post("/api/comment/new", json=comment).get_json()["id"]
    first = client.post("/api/comment/new", json=comment, headers=moderator).get_json()["id"]
    follower = Follower()
    follower.poll(client_getter(client))
    assert list(follower.comments) == [first]
    approved = client.post(f"/api/moderation/1/{held}/approve", headers=moderator).get_json()["id"]
    follower.poll(client_getter(client))
    assert list(follower.comments) == [first, approved]


# Cursors


def comment_at(moment: float) -> Comment:
    """Return a comment whose id was assigned at this second."""
    id_ = ids.id_at(ids.ticks(moment), random=0)
    return {"id": id_, "content_id": 1, "email": "a@example.com", "comment": "x", "created_at": ""}


def page(*moments: float, more: bool) -> Page:
    return Page([comment_at(moment) for moment in moments], more=more)


def after(moment: float) -> Cursor:
    return Cursor(comment_at(moment)["id"])


def test_without_overlap_the_next_page_starts_exactly_after_the_last_comment() -> None:
    now = ids.ticks(100)
    for more in (False, True):
        assert following(None, page(98, 99, more=more), overlap=0, read_at=now) == after(99)
        assert following(after(99), page(more=False), overlap=0, read_at=now) == after(99)


def test_comments_older_than_the_overlap_are_not_repeated() -> None:
    assert following(None, page(79, 80, more=False), overlap=10, read_at=ids.ticks(100)) == after(80)
    assert following(after(95), page(more=False), overlap=10, read_at=ids.ticks(200)) == after(95)


OVERLAP = 10


@settings(deadline=None)  # a busy machine is slow
@given(
    writes=st.lists(st.tuples(st.integers(101, 130), st.integers(0, OVERLAP)), max_size=25, unique_by=lambda w: w[0]),
    steps=st.lists(st.integers(0, 5), max_size=40),
    limit=st.integers(1, 3),
)
def test_a_follower_misses_nothing_at_any_timing(writes: list[tuple[int, int]], steps: list[int], limit: int) -> None:
    """Each write gets its id at a second and is visible some seconds later; one page is read after each step."""
    now = 100
    cursor: Cursor | None = None
    seen: set[str] = set()

    def read() -> bool:
        nonlocal cursor
        start = cursor.position if cursor else ""
        visible = [comment_at(at) for at, delay in sorted(writes) if at + delay <= now]
        found = [comment for comment in visible if comment["id"] > start]
        seen.update(comment["id"] for comment in found[:limit])
        more = len(found) > limit
        cursor = following(cursor, Page(found[:limit], more=more), overlap=OVERLAP, read_at=ids.ticks(now))
        return more

    for step in steps:
        now += step
        read()
    now += 100
    # Finish the current round of pages. The next one starts before everything that it may have missed.
    for _ in range(2):
        for _ in range(len(writes) + 1):
            if not read():
                break
        else:
            raise AssertionError("the pages do not end")
    assert seen == {comment_at(at)["id"] for at, _ in writes}
