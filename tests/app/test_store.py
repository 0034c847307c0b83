"""What every store promises, asked of both."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from comments.ids import tick_of
from comments.models import MAX_COMMENT, NewComment
from comments.store import CommentStore, open_store

POSTER = """
import sys
from comments.models import NewComment
from comments.store import open_store

store = open_store(sys.argv[1])
for number in range(int(sys.argv[3])):
    text = f"{sys.argv[2]} {number}"
    comment = store.add(NewComment(content_id=1, email="a@example.com", comment=text))
    print(comment["id"], text, flush=True)
"""


def say(store: CommentStore, text: str, content_id: int = 1) -> str:
    return store.add(NewComment(content_id=content_id, email="alice@example.com", comment=text))["id"]


def read_all(store: CommentStore, content_id: int = 1, limit: int = 1000) -> list[str]:
    texts: list[str] = []
    after = None
    while True:
        page = store.list_page(content_id, after=after, limit=limit)
        texts += [comment["comment"] for comment in page.comments]
        if not page.more:
            return texts
        after = page.comments[-1]["id"]


def test_a_comment_is_listed_as_it_was_added(store):
    text = 'quotes " \\ <b>&amp;</b>\n\tjo\u00e3o \U0001f600 \u202e'
    added = store.add(NewComment(content_id=2**53 - 1, email="jo\u00e3o@example.com", comment=text))
    assert added["comment"] == text
    assert store.list_page(2**53 - 1, after=None, limit=10).comments == [added]


def test_an_id_tells_the_time_at_which_it_was_created(store):
    added = store.add(NewComment(content_id=1, email="a@example.com", comment="x"))
    assert added["id"][14] == "7"
    seconds = tick_of(added["id"]) / 4096 / 1000
    from datetime import UTC, datetime

    created = datetime.fromisoformat(added["created_at"])
    assert created.tzinfo == UTC
    assert abs(created.timestamp() - seconds) < 0.001
    assert abs(datetime.now(UTC).timestamp() - seconds) < 60


def test_threads_do_not_mix(store):
    say(store, "one", 1)
    say(store, "eleven", 11)
    assert read_all(store, 1) == ["one"]
    assert read_all(store, 11) == ["eleven"]
    assert read_all(store, 111) == []


def test_sequential_comments_keep_their_order(store):
    expected = [str(number) for number in range(200)]
    for text in expected:
        say(store, text)
    assert read_all(store) == expected


def test_pages_hold_every_comment_once(store):
    expected = [str(number) for number in range(25)]
    for text in expected:
        say(store, text)
    for limit in (1, 7, 24, 25, 26):
        assert read_all(store, limit=limit) == expected
    assert not store.list_page(1, after=None, limit=25).more


def test_a_thread_of_the_longest_comments_is_read_in_pages_of_bounded_size(store):
    texts = [f"{number:04}" + "\u00e9" * (MAX_COMMENT - 4) for number in range(150)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: say(store, text), texts))
    page = store.list_page(1, after=None, limit=1000)
    assert page.more
    assert len(page.comments) < 150
    assert sorted(read_all(store)) == texts


def test_a_reader_behind_the_last_comment_sees_only_what_is_newer(store):
    last = say(store, "old")
    assert store.list_page(1, after=last, limit=10).comments == []
    say(store, "new")
    assert [comment["comment"] for comment in store.list_page(1, after=last, limit=10).comments] == ["new"]


def test_comments_outlive_the_store(store_url):
    first = open_store(store_url)
    say(first, "kept")
    first.close()
    second = open_store(store_url)
    assert read_all(second) == ["kept"]
    second.close()


def test_processes_that_write_at_once_lose_nothing_and_a_follower_misses_nothing(store_url, store):
    """Four processes post to one thread while a reader follows `after`, as a page that shows new comments does."""
    environ = os.environ | {"PYTHONPATH": "app"}
    posters = [
        subprocess.Popen(
            [sys.executable, "-c", POSTER, store_url, name, "100"], env=environ, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b", "c", "d")
    ]
    followed: list[dict[str, object]] = []
    while True:
        ended = all(poster.poll() is not None for poster in posters)
        page = store.list_page(1, after=_resume(store_url, followed), limit=1000)
        seen = {comment["id"] for comment in followed}
        followed += [comment for comment in page.comments if comment["id"] not in seen]
        if ended and not page.more:
            break
    acknowledged = [line.strip().split(" ", 1) for poster in posters for line in poster.communicate()[0].splitlines()]
    assert len(acknowledged) == 400
    assert sorted((comment["id"], comment["comment"]) for comment in followed) == sorted(map(tuple, acknowledged))
    for name in "abcd":
        own = [comment_id for comment_id, text in acknowledged if text.startswith(name)]
        assert all(earlier < later for earlier, later in pairwise(own))


def _resume(store_url, followed):
    """Where a follower goes on: behind the last; on DynamoDB, whose ids follow the writers' clocks, 5 s before it."""
    if not followed:
        return None
    last = max(comment["id"] for comment in followed)
    if store_url.startswith("sqlite"):
        return last
    from comments.ids import id_at

    return id_at(tick_of(last) - 5000 * 4096)
