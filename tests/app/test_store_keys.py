"""Retries, as every store treats them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from comments.errors import KeyReused
from comments.models import NewComment
from comments.store import KEY_SECONDS, open_store

ALICE = NewComment(content_id=1, email="alice@example.com", comment="once")
OTHER = NewComment(content_id=1, email="alice@example.com", comment="twice")

AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from comments.models import NewComment
from comments.store import open_store

store = open_store(sys.argv[1])
new = NewComment(content_id=1, email="a@example.com", comment="once")
store.held_page(after=None, limit=1)
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(10) as pool:
    for comment in pool.map(lambda _: store.add(new, idempotency_key="one key"), range(10)):
        print(comment["id"], comment["created_at"])
"""


def listed(store):
    return store.list_page(1, after=None, limit=1000).comments


def test_a_retry_returns_what_was_stored_the_first_time_and_stores_nothing(store):
    first = store.add(ALICE, idempotency_key="k")
    assert store.add(ALICE, idempotency_key="k") == first
    assert listed(store) == [first]


def test_another_comment_under_the_same_key_is_refused(store):
    first = store.add(ALICE, idempotency_key="k")
    with pytest.raises(KeyReused):
        store.add(OTHER, idempotency_key="k")
    assert listed(store) == [first]


def test_without_a_key_or_under_another_one_the_same_comment_is_stored_again(store):
    for key in ("a", "b", None, None):
        store.add(ALICE, idempotency_key=key)
    assert len(listed(store)) == 4


def test_a_key_is_forgotten_after_a_day(store, monkeypatch):
    import comments.store.dynamodb_changes as dynamodb
    import comments.store.sqlite_changes as sqlite

    first = store.add(ALICE, idempotency_key="k")
    now = dynamodb.time.time()
    for elapsed, comments in ((KEY_SECONDS - 60, 1), (KEY_SECONDS + 60, 2), (2 * KEY_SECONDS - 60, 2)):
        for module in (dynamodb, sqlite):
            monkeypatch.setattr(module.time, "time", lambda elapsed=elapsed: now + elapsed)
        again = store.add(ALICE, idempotency_key="k")
        assert (again == first) == (comments == 1)
        assert len(listed(store)) == comments


def test_a_retry_is_answered_as_the_first_time_whatever_became_of_the_comment(store):
    first = store.add(ALICE, idempotency_key="k", held=True)
    assert first["held"]
    store.approve(1, first["id"])
    assert store.add(ALICE, idempotency_key="k") == first
    store.delete(1, first["id"])
    assert store.add(ALICE, idempotency_key="k") == first
    assert listed(store) == []


def test_fifty_at_once_from_five_processes_store_one_comment(store_url, store):
    environ = os.environ | {"PYTHONPATH": "app"}
    posters = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, store_url],
            env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(5)
    ]  # fmt: skip
    assert [poster.stdout.readline() for poster in posters] == ["ready\n"] * 5
    for poster in posters:
        poster.stdin.write("go\n")
        poster.stdin.flush()
    answers = [line for poster in posters for line in poster.communicate()[0].splitlines()]
    (comment,) = listed(store)
    assert answers == [f"{comment['id']} {comment['created_at']}"] * 50


def test_a_batch_keeps_the_comments_beside_a_refused_one(store):
    store.add(ALICE, idempotency_key="k")

    def add(number):
        try:
            return store.add(OTHER, idempotency_key="k" if number % 5 == 0 else None)["id"]
        except KeyReused:
            return None

    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(add, range(100)))
    assert ids.count(None) == 20
    assert {comment["id"] for comment in listed(store)} >= {each for each in ids if each}
    assert len(listed(store)) == 81


def test_neither_key_nor_comment_stays_readable_in_what_is_remembered(store, store_url, tmp_path):
    added = store.add(ALICE, idempotency_key="a client's secret key")
    store.delete(1, added["id"])
    if store_url.startswith("sqlite"):
        import sqlite3

        rows = sqlite3.connect(tmp_path / "comments.db").execute("SELECT * FROM idempotency_key").fetchall()
    else:
        rows = boto3.client("dynamodb").scan(TableName=store_url.removeprefix("dynamodb://"))["Items"]
    assert len(rows) == 1
    for text in ("secret key", "alice", "once"):
        assert text not in str(rows)


def test_keys_outlive_the_store(store_url):
    ids = set()
    for _ in range(2):
        store = open_store(store_url)
        ids.add(store.add(ALICE, idempotency_key="k")["id"])
        store.close()
    assert len(ids) == 1
