"""Following a thread: a client that requests `next` and then, again and again, `monitor` misses no comment.

resilience/test_kills.py shows the same for two SQLite processes that are killed.
"""

import time
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from comments import ids
from comments.comment import Comment, NewComment
from comments.http.paging import Cursor, following
from comments.stores import CommentStore, Page, open_store
from comments.stores.dynamodb import DynamoDBStore
from tests.app.support import ALICE, AUTH, TOKEN, client_of, create_table, links, post

NEW = NewComment.model_validate(ALICE)


class Follower:
    """A client as the API documents it: it ignores comments whose id it knows."""

    def __init__(self) -> None:
        self.url = "/api/comment/list/1?limit=1"
        self.comments: dict[str, Comment] = {}

    def poll(self, app: Flask) -> None:
        """Read pages until there are no more."""
        more = True
        while more:
            response = app.test_client().get(self.url)
            if response.status_code == 200:
                self.comments |= {comment["id"]: comment for comment in response.get_json()}
            else:
                assert response.status_code == 404
            found = links(response)
            more = "next" in found
            self.url = found["next" if more else "monitor"]


@pytest.mark.usefixtures("dynamodb")
def test_a_follower_gets_a_comment_that_dynamodb_stores_after_newer_ones() -> None:
    """A write that is repeated keeps its id. test_dynamodb.py shows that it ends before the overlap does."""
    with closing(DynamoDBStore(create_table())) as store:
        client, other_task = client_of(store), client_of(store)
        late = NEW.stored(ids.id_at(ids.now() - ids.ticks(store.overlap / 2)), held=False)
        newer = post(client).get_json()["id"]
        follower = Follower()
        follower.poll(client.application)
        follower.poll(client.application)
        store.restore([late])
        assert client.get(f"/api/comment/list/1?after={newer}").get_json() == []  # too late for its id
        assert list(follower.comments) == [newer]
        follower.poll(other_task.application)
        assert list(follower.comments) == [newer, late["id"]]


def test_a_follower_gets_approved_comments(store: CommentStore) -> None:
    client = client_of(store, moderator_token=TOKEN, hold="all")
    held, first = post(client).get_json()["id"], post(client, AUTH).get_json()["id"]
    follower = Follower()
    follower.poll(client.application)
    assert list(follower.comments) == [first]
    approved = client.post(f"/api/moderation/1/{held}/approve", headers=AUTH).get_json()["id"]
    follower.poll(client.application)
    assert list(follower.comments) == [first, approved]


def test_a_follower_misses_nothing_when_the_newest_comment_is_deleted_and_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite. On DynamoDB, this holds while clocks differ by less than CLOCK_SKEW."""
    url = f"sqlite:///{tmp_path}/comments.db"
    with closing(open_store(url)) as store, closing(open_store(url)) as another_process:
        client = client_of(store, moderator_token=TOKEN)
        first, newest = post(client).get_json()["id"], post(client).get_json()["id"]
        follower = Follower()
        follower.poll(client.application)
        assert client.delete(f"/api/moderation/1/{newest}", headers=AUTH).status_code == 200
        system = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: system() - 3600 * 10**9)
        later = post(client_of(another_process)).get_json()["id"]
        follower.poll(client.application)
        assert list(follower.comments) == [first, newest, later]


# Cursors


def comment_at(moment: float) -> Comment:
    """Return a comment whose id was assigned at this second."""
    id_ = ids.id_at(ids.ticks(moment), random=0)
    return {"id": id_, "content_id": 1, "email": "a@example.com", "comment": "x", "created_at": ""}


OVERLAP = 10


@settings(deadline=None, max_examples=1000)  # a busy machine is slow
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
        cursor = Cursor.parse(str(cursor))
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
