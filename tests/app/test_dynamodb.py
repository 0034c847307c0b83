"""The DynamoDB store: a network and a DynamoDB that fail."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Any

import boto3
import pytest

from comments.comment import Comment, NewComment
from comments.errors import StoreError
from comments.ids import id_at, now
from comments.stores import dynamodb_table, open_store
from comments.stores.base import EDITED, Notification
from comments.stores.dynamodb import DynamoDBStore
from comments.stores.dynamodb_items import outbox_item
from comments.stores.dynamodb_table import ATTEMPTS
from tests.app import faults
from tests.app.support import Log, client_of, create_table, post
from tests.app.test_cli import as_lines, export, run, some_comments

ALICE = NewComment(content_id=1, email="alice@example.com", comment="published")
BOB = NewComment(content_id=2, email="bob@example.com", comment="held")

PUBLISHED = ALICE.stored("01a2172b-ac72-78ca-94af-54ee8d4129f5", held=False)
HELD = BOB.stored("01a2172b-ae5e-74f7-96a7-8a457f49d6fc", held=True)


@pytest.fixture
def table(proxy: faults.Faults, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty table, which boto3 accesses through the proxy without waiting before a retry."""
    name = create_table()
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return name


@pytest.fixture
def store(table: str) -> Iterator[DynamoDBStore]:
    with closing(DynamoDBStore(table)) as opened:
        yield opened


def everything(store: DynamoDBStore) -> list[Comment]:
    return [
        *store.list_comments(1, limit=100).comments,
        *store.list_comments(2, limit=100).comments,
        *store.list_held(limit=100).comments,
    ]


# Errors that pass


CONFLICT = faults.refuse("TransactionConflictException")


@pytest.mark.parametrize(
    ("in_transaction", "alone", "times"),
    [
        (faults.cancelled("TransactionConflict"), CONFLICT, 3),
        (faults.cancelled("ThrottlingError"), CONFLICT, 3),
        (faults.cancelled("ProvisionedThroughputExceeded"), CONFLICT, 3),
        (faults.lose, faults.lose, ATTEMPTS - 1),
    ],
)
def test_a_write_is_repeated_after_a_conflict_or_a_lost_response(
    store: DynamoDBStore, proxy: faults.Faults, in_transaction: faults.Fault, alone: faults.Fault, times: int
) -> None:
    proxy.script = [alone] * times
    unkeyed = store.add(ALICE)
    proxy.script += [in_transaction] * times
    held = store.add(BOB, key="k", held=True)
    proxy.script += [in_transaction] * times
    assert store.add(BOB, key="k", held=True) == held
    proxy.script += [faults.well, *[in_transaction] * times]
    published = store.approve(2, held["id"])
    assert published
    assert everything(store) == [unkeyed, published]
    proxy.script += [faults.well, faults.well, *[alone] * times]
    assert store.delete(2, published["id"])
    assert everything(store) == [unkeyed]
    assert proxy.script == []


def test_an_import_whose_responses_are_lost_stores_everything_once(store: DynamoDBStore, proxy: faults.Faults) -> None:
    proxy.script = [faults.lose_writes] * 3  # reads succeed; the responses to the first writes are lost
    store.restore([PUBLISHED, HELD])
    assert store.restore([PUBLISHED, HELD]) == 0
    assert everything(store) == [PUBLISHED, HELD]


TRANSACTION, DENIED = "TransactWriteItems", faults.refuse("AccessDeniedException")


def test_comments_stored_by_an_import_that_failed_are_counted(store: DynamoDBStore, proxy: faults.Faults) -> None:
    comments: list[Comment] = [PUBLISHED | {"id": f"{PUBLISHED['id'][:-2]}{number}"} for number in range(10, 90)]
    proxy.script = [faults.well] * 40 + [DENIED]
    with pytest.raises(StoreError):
        store.restore(comments)
    stored = len(everything(store))
    assert 0 < stored < len(comments)
    assert store.count([1]) == {1: stored}


def test_a_move_that_failed_is_completed_by_the_next_one_with_all_counts(
    store: DynamoDBStore, proxy: faults.Faults
) -> None:
    comments: list[Comment] = [PUBLISHED | {"id": f"{PUBLISHED['id'][:-2]}{number}"} for number in range(10, 30)]
    store.restore(comments)
    for _ in range(100):  # with the comment, more than a transaction has items
        notification = Notification(id_at(now()), EDITED, 1, comments[0]["id"])
        store._table.put(outbox_item("webhook", notification))
    proxy.operations.clear()

    def deny_the_tenth_and_later(exchange: faults.Exchange) -> None:
        is_denied = exchange.operation == TRANSACTION and proxy.operations.count(TRANSACTION) > 9
        (DENIED if is_denied else faults.well)(exchange)

    proxy.always = deny_the_tenth_and_later
    with pytest.raises(StoreError):
        store.move(1, 2, "")
    proxy.always = faults.well
    moved = len(store.list_comments(2, limit=100).comments)
    assert moved > 0
    with closing(DynamoDBStore(store._table._name)) as other:
        assert other.count([1, 2]) == {1: 20 - moved, 2: moved}
    assert store.move(1, 2, "") == 20 - moved
    assert store.count([1, 2]) == {1: 0, 2: 20}
    assert [each.content_id for each in store.list_outbox("webhook", limit=200)] == [1] * 2 + [2] * 98


# Errors that stay; resilience/test_faults.py has more


@pytest.mark.parametrize(("fault", "attempts"), [(faults.reset, ATTEMPTS), (faults.refuse("AccessDeniedException"), 1)])
def test_a_lasting_error_is_503_after_a_bounded_number_of_attempts(
    store: DynamoDBStore, table: str, proxy: faults.Faults, log: Log, *, fault: faults.Fault, attempts: int
) -> None:
    client = client_of(store)
    proxy.always = fault
    responses = [post(client), client.get("/api/comment/list/1")]
    assert proxy.operations == ["PutItem"] * attempts + ["Query"] * attempts
    for response in responses:
        assert (response.status_code, response.get_json()["status"]) == (503, "UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0
        assert table not in response.text
    assert table in log.getvalue()
    proxy.always = faults.well
    assert post(client).status_code == 200


@pytest.mark.parametrize(
    "fault", [faults.over_the_ceiling, faults.refuse("ProvisionedThroughputExceededException")], ids=["table", "thread"]
)
def test_throttling_is_429_fires_no_alarm_and_loses_nothing_acknowledged(
    store: DynamoDBStore, proxy: faults.Faults, log: Log, monkeypatch: pytest.MonkeyPatch, fault: faults.Fault
) -> None:
    """The alarms that roll back a deployment count 5xx responses and log lines with `failed`."""
    monkeypatch.setattr(dynamodb_table, "CONFLICT_SECONDS", 0)
    client = client_of(store, metrics="notes/dev")
    assert post(client, {"Idempotency-Key": "one"}, comment="before").status_code == 200
    proxy.always = fault
    responses = [
        post(client, {"Idempotency-Key": "two"}, comment="during"),
        post(client),
        client.get("/api/comment/list/1"),
    ]
    proxy.always = faults.cancelled("ThrottlingError")
    responses.append(post(client, {"Idempotency-Key": "two"}, comment="during"))
    for response in responses:
        assert (response.status_code, response.get_json()["status"]) == (429, "RATE-LIMITED")
        assert int(response.headers["Retry-After"]) > 0
    assert not any("failed" in entry or entry["level"] == "error" for entry in log.entries)
    proxy.always = faults.well
    assert post(client, {"Idempotency-Key": "two"}, comment="during").status_code == 200
    listed = client.get("/api/comment/list/1").get_json()
    assert [each["comment"] for each in listed] == ["before", "during"]


def test_commands_wait_while_the_table_is_throttled(table: str, proxy: faults.Faults) -> None:
    url, lines = f"dynamodb://{table}", sorted(as_lines(some_comments(30)))
    proxy.script = [faults.over_the_ceiling] * 100
    assert run("import", "-", "--store", url, stdin=b"\n".join(lines))[0] == 0
    proxy.script = [faults.over_the_ceiling] * 15
    assert sorted(export(url).splitlines()) == lines


def test_conflicts_that_last_end_with_an_error(
    store: DynamoDBStore, proxy: faults.Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb_table, "CONFLICT_SECONDS", 0.1)
    proxy.always = faults.cancelled("TransactionConflict")
    with pytest.raises(StoreError, match="TransactionCanceledException"):
        store.add(ALICE, key="k")


@pytest.mark.parametrize("held", [False, True])
def test_a_move_neither_restores_what_is_deleted_meanwhile_nor_undoes_an_edit(
    store: DynamoDBStore, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    deleted, edited = (store.add(ALICE, held=held) for _ in range(2))

    def change(*_: object, **__: object) -> list[Notification]:
        """The move has read the comments by now."""
        store.delete(1, deleted["id"])
        store.edit(1, edited["id"], "edited", "2026-12-01T00:00:00.000Z")
        return []

    monkeypatch.setattr(store, "list_outbox", change)
    store.move(1, 2, "")
    assert [(each["content_id"], each["comment"]) for each in everything(store)] == [(2, "edited")]


def test_lists_repeat_comments_for_as_long_as_the_slowest_write(store: DynamoDBStore) -> None:
    """A follower that is past the id of a slow write would never see its comment."""
    config: Any = store._table.client.meta.config
    assert store.overlap > config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)


def test_a_call_that_finds_no_connection_in_time_fails(
    table: str, proxy: faults.Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb_table, "CONNECTIONS", 1)
    monkeypatch.setattr(dynamodb_table, "BUSY_SECONDS", 0.01)
    arrived, leave = Event(), Event()

    def wait(exchange: faults.Exchange) -> None:
        arrived.set()
        leave.wait(30)
        faults.well(exchange)

    proxy.always = wait
    with closing(DynamoDBStore(table)) as store, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(store.add, ALICE)
        arrived.wait(30)
        with pytest.raises(StoreError, match="all 1 connections are busy"):
            store.add(BOB)
        leave.set()
        stored = slow.result()
        assert everything(store) == [stored]


# Configuration


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_CONFIG_FILE": "/dev/null"}, "You must specify a region"),
        ({"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_DYNAMODB": "localhost:8000"}, "localhost:8000"),
    ],
)
def test_invalid_aws_settings_are_an_error_at_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=f"COMMENTS_STORE: cannot connect to DynamoDB: .*{message}"):
        open_store("dynamodb://comments")
