"""What is held, approved, deleted, exported and restored, as every store does it."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from comments.errors import StoreError
from comments.models import NewComment
from comments.store import open_store

MISSING = "01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"

# What version 1 of the service wrote.
VERSION_1 = """
CREATE TABLE comment (
    content_id INTEGER NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL, comment TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (content_id, id)
) WITHOUT ROWID, STRICT;
INSERT INTO comment VALUES (1, '01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52', 'a@b', 'old', '2026-11-24T08:29:23.614Z');
PRAGMA user_version = 1;
"""


def say(store, text, content_id=1, **how):
    return store.add(NewComment(content_id=content_id, email="alice@example.com", comment=text), **how)


def listed(store, content_id=1):
    return store.list_page(content_id, after=None, limit=1000).comments


def held(store, limit=1000):
    comments, after, more = [], None, True
    while more:
        page = store.held_page(after=after, limit=limit)
        comments += page.comments
        more = page.more
        after = comments[-1]["id"] if comments else None
    return comments


def scan(store, limit=1000, after=None):
    comments = []
    while True:
        part = store.scan(after=after, limit=limit)
        comments += part.comments
        after = part.after
        if after is None:
            return comments


def test_a_held_comment_is_listed_only_after_approval_under_the_id_it_had(store):
    first, second, third = say(store, "one"), say(store, "two", held=True), say(store, "three")
    assert second["held"] is True
    assert listed(store) == [first, third]
    assert held(store) == [second]
    assert store.approve(1, second["id"])
    del second["held"]
    assert listed(store) == [first, second, third]
    assert held(store) == []


def test_approving_twice_is_approving_once(store):
    comment = say(store, "x", held=True)
    assert store.approve(1, comment["id"])
    assert store.approve(1, comment["id"])
    assert len(listed(store)) == 1


@pytest.mark.parametrize("is_held", [True, False])
def test_a_deleted_comment_is_gone(store, is_held):
    kept, gone = say(store, "kept", held=is_held), say(store, "gone", held=is_held)
    assert store.delete(1, gone["id"])
    assert not store.delete(1, gone["id"])
    assert not store.approve(1, gone["id"])
    assert listed(store) + held(store) == [kept]


@pytest.mark.parametrize("is_held", [True, False])
def test_a_comment_is_moderated_in_its_own_thread_only(store, is_held):
    comment = say(store, "x", held=is_held)
    assert not store.delete(2, comment["id"])
    assert not store.approve(2, comment["id"])
    assert not store.delete(1, MISSING)
    assert not store.approve(1, MISSING)
    assert listed(store) + held(store) == [comment]


def test_what_is_held_is_paged_over_all_threads_in_the_order_of_ids(store):
    expected = [say(store, str(number), content_id=1 + number % 3, held=True) for number in range(25)]
    for limit in (1, 7, 24, 25, 26):
        assert held(store, limit) == expected
    assert not store.held_page(after=None, limit=25).more
    assert store.held_page(after=expected[4]["id"], limit=2).comments == expected[5:7]


def test_a_long_queue_of_long_comments_is_read_to_the_end_and_in_order(store):
    """On DynamoDB each partition of it is cut at 1 MB, each at another id."""
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: say(store, "\u00e9" * 10_000, held=True)["id"], range(300)))
    assert [comment["id"] for comment in held(store)] == sorted(added)


def test_of_approving_and_deleting_at_once_only_one_happens_at_last(store):
    for _ in range(20):
        comment = say(store, "x", held=True)
        with ThreadPoolExecutor(2) as pool:
            pool.submit(store.approve, 1, comment["id"])
            assert pool.submit(store.delete, 1, comment["id"]).result()
        assert listed(store) == []
        assert held(store) == []


@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_a_scan_meets_every_comment_once(store, limit):
    everything = [say(store, f"{number}", content_id=1 + number % 5, held=number % 4 == 0) for number in range(30)]
    everything.append(say(store, "keyed", content_id=1, idempotency_key="k"))
    met = scan(store, limit)
    assert sorted(comment["id"] for comment in met) == sorted({comment["id"] for comment in met})
    assert sorted(map(str, met)) == sorted(map(str, everything))


def test_a_scan_goes_on_where_it_stopped_in_another_process(store, store_url):
    for number in range(20):
        say(store, f"{number}", content_id=number + 1, held=number % 2 == 0)
    whole = scan(store, 3)
    tokens, after = [None], None
    while after := store.scan(after=after, limit=3).after:
        tokens.append(after)
    other = open_store(store_url)
    for position, token in enumerate(tokens):
        before = []
        for earlier in tokens[:position]:
            before += store.scan(after=earlier, limit=3).comments
        assert before + scan(other, 3, after=token) == whole
    other.close()


def test_an_empty_store_is_scanned_to_its_end(store):
    assert scan(store) == []


def test_a_comment_approved_while_a_scan_runs_is_not_missed(store):
    expected = {say(store, str(number), held=True)["id"] for number in range(6)}
    met, after = set(), None
    while True:
        part = store.scan(after=after, limit=2)
        met |= {comment["id"] for comment in part.comments}
        for comment in held(store)[:1]:
            store.approve(1, comment["id"])
        after = part.after
        if after is None:
            break
    assert met == expected


def test_restored_comments_keep_ids_times_and_what_is_held(store, tmp_path):
    source = open_store(f"sqlite:///{tmp_path}/source.db")
    for number in range(130):
        say(source, f"{number}", content_id=1 + number % 3, held=number % 4 == 0)
    comments = scan(source)
    assert store.restore(comments[:70]) == 70
    assert store.restore(comments) == 60
    assert store.restore(comments) == 0
    assert store.restore([]) == 0
    assert sorted(map(str, scan(store))) == sorted(map(str, comments))
    assert held(store) == held(source)
    for content_id in (1, 2, 3):
        assert listed(store, content_id) == listed(source, content_id)
    assert say(store, "new", content_id=1)["id"] > listed(source, 1)[-1]["id"]
    source.close()


def test_what_is_there_is_left_as_it_is_by_a_restore(store):
    approved, waiting = say(store, "a", held=True), say(store, "b", held=True)
    store.approve(1, approved["id"])
    other = {key: value for key, value in waiting.items() if key != "held"}
    assert store.restore([approved, other]) == 0
    assert [comment["comment"] for comment in listed(store)] == ["a"]
    assert held(store) == [waiting]


def test_the_same_comment_twice_in_one_restore_is_one(store):
    comment = say(store, "x")
    store.delete(1, comment["id"])
    assert store.restore([comment, comment]) == 1
    assert listed(store) == [comment]


def test_a_ping_is_answered_by_a_store_that_answers(store):
    store.ping()


@pytest.mark.usefixtures("dynamodb")
def test_a_ping_of_a_table_that_is_not_there_fails():
    store = open_store("dynamodb://no-such-table")
    with pytest.raises(StoreError, match="no-such-table"):
        store.ping()
    store.close()


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path):
    with sqlite3.connect(tmp_path / "comments.db") as old:
        old.executescript(VERSION_1)
    old.close()
    for _ in range(2):
        store = open_store(f"sqlite:///{tmp_path}/comments.db")
        assert listed(store)[0]["comment"] == "old"
        waiting = say(store, "new", held=True)
        assert store.approve(1, waiting["id"])
        store.close()
    assert [comment["comment"] for comment in listed(open_store(f"sqlite:///{tmp_path}/comments.db"))] == [
        "old",
        "new",
        "new",
    ]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "comments.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="newer version"):
        open_store(f"sqlite:///{tmp_path}/comments.db")
