"""The CommentStore protocol. Every test runs on SQLite and on DynamoDB Local."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from operator import itemgetter

import pytest

from comments.comment import Comment, NewComment
from comments.fields import MAX_COMMENT
from comments.importers.candidates import StoredComment
from comments.stores import CommentStore, Page, open_store
from comments.stores.base import KEY_SECONDS, PAGE_BYTES

ONCE = NewComment(content_id=1, email="alice@example.com", comment="once")


def add_comment(store: CommentStore, text: str, content_id: int = 1, *, held: bool = False) -> Comment:
    return store.add(NewComment(content_id=content_id, email="alice@example.com", comment=text), held=held)


def all_pages(read: Callable[..., Page], limit: int = 1000) -> list[Comment]:
    """Read all pages, each after the last comment of the one before."""
    comments: list[Comment] = []
    more = True
    while more:
        page = read(after=comments[-1]["id"] if comments else "", limit=limit)
        comments += page.comments
        more = page.more
    return comments


def thread(store: CommentStore, content_id: int = 1) -> list[Comment]:
    return all_pages(partial(store.list_comments, content_id))


def held(store: CommentStore, limit: int = 1000) -> list[Comment]:
    return all_pages(store.list_held, limit)


# Comments and pages


def test_a_comment_is_only_found_in_its_thread(store: CommentStore) -> None:
    one, eleven = add_comment(store, "one", 1), add_comment(store, "eleven", 11)
    assert (thread(store, 1), thread(store, 11), thread(store, 111)) == ([one], [eleven], [])
    assert store.get(11, one["id"]) is None


def test_a_page_ends_after_a_megabyte_of_utf_8(store: CommentStore) -> None:
    first = add_comment(store, "\u00e9" * MAX_COMMENT)
    store.restore([first | {"id": f"01a20cac-8b1e-7c9d-9d3f-{number:012x}"} for number in range(120)])
    page = store.list_comments(1, limit=1000)
    size = sum(len(comment["comment"].encode()) for comment in page.comments)
    assert page.more
    assert PAGE_BYTES - 3 * MAX_COMMENT < size < PAGE_BYTES + 3 * MAX_COMMENT
    assert len(thread(store)) == len(list(store.scan())) == 121


# Idempotency keys


def test_a_key_expires_after_a_day(store: CommentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.add(ONCE, key="k")
    now = time.time()
    for elapsed, comments in ((KEY_SECONDS - 60, 1), (KEY_SECONDS + 60, 2), (2 * KEY_SECONDS - 60, 2)):
        monkeypatch.setattr(time, "time", lambda elapsed=elapsed: now + elapsed)
        assert (store.find_replay(ONCE, "k") == first) == (comments == 1)
        assert (store.add(ONCE, key="k") == first) == (comments == 1)
        assert len(thread(store)) == comments


def test_a_replayed_key_returns_the_first_response_after_approval_and_deletion(store: CommentStore) -> None:
    first = store.add(ONCE, key="k", held=True)
    assert first["held"]
    published = store.approve(1, first["id"])
    assert published
    assert store.add(ONCE, key="k", held=True) == first
    assert thread(store) == [published]
    assert store.delete(1, published["id"])
    assert store.add(ONCE, key="k", held=True) == first
    assert thread(store) + held(store) == []


def test_fifty_parallel_retries_store_one_comment(store: CommentStore, store_url: str) -> None:
    other = open_store(store_url)
    with ThreadPoolExecutor(50) as pool, closing(other):
        added = list(pool.map(lambda number: (store, other)[number % 2].add(ONCE, key="k"), range(50)))
    (stored,) = thread(store)
    assert added == [stored] * 50
    others = [store.add(ONCE, key=key) for key in ("another", "", "")]
    assert thread(store) == [stored, *others]


# The system clock


HOUR = 3600 * 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the clock of the process by nanoseconds."""
    system = time.time_ns
    return lambda offset: monkeypatch.setattr(time, "time_ns", lambda: system() + offset)


@pytest.mark.parametrize("pending", [False, True])
def test_a_comment_written_an_hour_ahead_changes_the_times_of_its_thread_only(
    store: CommentStore, clock: Callable[[int], None], *, pending: bool
) -> None:
    clock(HOUR)
    ahead = add_comment(store, "ahead", held=pending)
    clock(0)
    assert add_comment(store, "other thread", 2)["id"] < ahead["id"]
    assert add_comment(store, "pending", 2, held=True)["id"] < ahead["id"]
    add_comment(store, "same thread")
    assert {comment["comment"] for comment in thread(store) + held(store)} >= {"ahead", "same thread"}
    clock(HOUR + 1)
    assert add_comment(store, "an hour later")["id"] > ahead["id"]


def test_an_export_written_by_a_wrong_clock_can_be_imported(store: CommentStore, clock: Callable[[int], None]) -> None:
    clock(HOUR)
    expected = [add_comment(store, "ahead"), add_comment(store, "pending", held=True)]
    clock(0)
    records = [StoredComment.parse(json.loads(json.dumps(comment))) for comment in store.scan()]
    for comment in expected:
        assert store.delete(1, comment["id"])
    assert store.restore(records) == 2
    assert thread(store) + held(store) == expected


# Moderation


def test_held_comments_of_all_threads_are_paged_in_order(store: CommentStore) -> None:
    expected = [add_comment(store, str(number), content_id=1 + number % 3, held=True) for number in range(25)]
    for limit in (1, 7, 24, 25, 26):
        assert held(store, limit) == expected
    assert not store.list_held(limit=25).more
    # On DynamoDB, a query ends after 1 MB: first among the comments of one shard, then of all four.
    large: Comment = {**expected[0], "email": "a" * 64 + "@" + "b" * 189, "comment": "x" * 5000}
    earlier: list[Comment] = [{**large, "id": f"01a00000-0000-7000-8000-{number * 16:012x}"} for number in range(210)]
    later: list[Comment] = [{**large, "id": f"02000000-0000-7000-8000-{number:012x}"} for number in range(280)]
    store.restore(earlier + later)
    assert held(store) == earlier + expected + later
    page = store.list_held(after=expected[-1]["id"], limit=1000).comments
    assert sum(len(comment["comment"]) for comment in page) < PAGE_BYTES + MAX_COMMENT


def test_recent_comments_of_all_threads_are_paged_newest_first(store: CommentStore) -> None:
    added = [add_comment(store, str(number), 1 + number % 3, held=number % 4 == 0) for number in range(25)]
    deleted, waiting = added.pop(5), added.pop(7)
    assert store.delete(deleted["content_id"], deleted["id"])
    approved = store.approve(waiting["content_id"], waiting["id"])
    assert approved
    expected = [*added, approved][::-1]
    for limit in (1, 7, 23, 24, 25):
        assert all_pages(store.list_recent, limit) == expected
    assert not store.list_recent(limit=24).more
    large: Comment = {**added[-1], "comment": "x" * MAX_COMMENT}
    store.restore([{**large, "id": f"02000000-0000-7000-8000-{number:012x}"} for number in range(120)])
    page = store.list_recent(limit=1000)
    assert page.more
    assert abs(len(page.comments) * MAX_COMMENT - PAGE_BYTES) < 3 * MAX_COMMENT
    assert len(all_pages(store.list_recent)) == 144


def test_counts_are_those_of_published_comments(store: CommentStore, store_url: str) -> None:
    first = add_comment(store, "one")
    once = store.add(ONCE, key="k")
    assert store.add(ONCE, key="k") == once
    waiting = add_comment(store, "pending", held=True)
    others = [add_comment(store, "other", 2) for _ in range(3)]
    expected = {1: 2, 2: 3, 3: 0}

    def counts() -> dict[int, int]:
        with closing(open_store(store_url)) as opened:  # another process
            return opened.count([1, 2, 3])

    assert counts() == expected
    store.delete(1, first["id"])
    store.delete(1, first["id"])
    store.approve(1, waiting["id"])
    store.approve(1, waiting["id"])
    store.delete(2, others[0]["id"])
    store.restore([first, others[0], others[1]])
    assert counts() == {1: 3, 2: 3, 3: 0}
    store.restore([{**others[1], "content_id": 3}])
    store.move(2, 3, "")
    assert counts() == {1: 3, 2: 0, 3: 3}
    assert store.rebuild() == 6
    assert counts() == {1: 3, 2: 0, 3: 3}


def test_an_edit_that_arrives_after_the_approval_changes_nothing_and_says_so(store: CommentStore) -> None:
    waiting = add_comment(store, "approved", held=True)
    published = store.approve(1, waiting["id"])
    assert store.edit(1, waiting["id"], "too late", "2026-12-01T00:00:00.000Z") is None
    assert thread(store) == [published]


def test_a_comment_is_either_approved_or_deleted_but_not_both(store: CommentStore) -> None:
    for _ in range(20):
        comment = add_comment(store, "x", held=True)
        with ThreadPoolExecutor(2) as pool:
            approval = pool.submit(store.approve, 1, comment["id"])
            deleted = pool.submit(store.delete, 1, comment["id"]).result()
            published = approval.result()
        assert deleted == (published is None)
        assert (store.get(1, published["id"]) if published else None) == published
    assert held(store) == []


# Export and import


@pytest.mark.parametrize("page", [1, 4, 1000])
def test_a_scan_returns_every_comment_once_and_misses_none_that_is_approved(
    store: CommentStore, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    for module in ("comments.stores.base", "comments.stores.sqlite"):
        monkeypatch.setattr(f"{module}.SCAN_PAGE", page)
    assert list(store.scan()) == []
    comments = [
        add_comment(store, str(number), content_id=1 + number % 5, held=number % 4 == 0) for number in range(30)
    ]
    comments.append(store.add(ONCE, key="k"))
    assert sorted(store.scan(), key=itemgetter("id")) == comments
    found = set()
    for comment in store.scan():
        found.add(comment["comment"])
        for waiting in held(store)[:1]:
            store.approve(waiting["content_id"], waiting["id"])
    assert found == {comment["comment"] for comment in comments}


def test_a_restore_does_not_change_existing_comments(store: CommentStore) -> None:
    waiting, published = add_comment(store, "waiting", held=True), add_comment(store, "published")
    not_held: Comment = {**waiting}
    del not_held["held"]
    changed: Comment = {**published, "comment": "changed"}
    assert store.restore([not_held, changed, {**published, "held": True}]) == 0
    assert (thread(store), held(store)) == ([published], [waiting])


def test_a_restore_does_not_repeat_an_approved_comment(store: CommentStore) -> None:
    waiting = add_comment(store, "waiting", held=True)
    not_held: Comment = {**waiting}
    del not_held["held"]
    published = store.approve(1, waiting["id"])
    assert published
    assert store.restore([waiting]) == store.restore([not_held]) == 0
    assert (thread(store), held(store)) == ([published], [])
    assert store.delete(1, published["id"])
    assert store.restore([waiting]) == 0
    assert store.restore([published]) == 1
