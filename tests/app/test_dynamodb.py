"""The DynamoDB store: items of release 0.1, and a network and a DynamoDB that fail."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import boto3
import pytest

from comments.errors import StoreError
from comments.schemas import Comment, NewComment
from comments.stores import KEY_SECONDS, dynamodb, open_store
from comments.stores.dynamodb import ATTEMPTS, DynamoDBStore
from tests.app import faults
from tests.app.conftest import Log, client_of, create_table, post

ALICE = NewComment(content_id=1, email="alice@example.com", comment="published")
BOB = NewComment(content_id=2, email="bob@example.com", comment="held")

EXPIRES_AT = int(time.time()) + KEY_SECONDS


def item(partition: str, comment: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """Return what release 0.1 wrote for a comment."""
    attributes = {name: comment[name] for name in ("email", "comment", "created_at")}
    return {"pk": partition, "sk": comment["id"], **attributes, **more}


# What release 0.1 wrote when alice posted with the key "key of alice", and bob, pending approval, with "key of bob".
PUBLISHED = ALICE.stored("01a2172b-ac72-78ca-94af-54ee8d4129f5", held=False)
HELD = BOB.stored("01a2172b-ae5e-74f7-96a7-8a457f49d6fc", held=True)
PUBLISHED_KEY: dict[str, Any] = {
    "pk": "key#a34f17e689774b9d48e089b773e90235fdc7d8f8b984e5255a656bbd4dd0b7d7",
    "sk": "-",
    "fingerprint": "9cf5c7693e6b575a6322591006d6037831a3f42fa22cc5a62f97a7abfa7c990c",
    "id": PUBLISHED["id"],
    "held": False,
    "expires_at": EXPIRES_AT,
}
HELD_KEY = PUBLISHED_KEY | {
    "pk": "key#e737386ba7d8efdb2a513c0c194afcee56ab5f7f17ede91ff14b6e3053ad2127",
    "fingerprint": "7917d5f6ff5c7de732f7b4154eb106c490d27b65d074136eb656ab9f46b84d74",
    "id": HELD["id"],
    "held": True,
}


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


# Compatibility with release 0.1


def test_items_of_release_0_1_are_readable(store: DynamoDBStore, table: str) -> None:
    expired = {"pk": f"key#{hashlib.sha256(b'expired').hexdigest()}", "expires_at": int(time.time()) - 1}
    comments = (item("thread#1", PUBLISHED), item("held#0", HELD, content_id=2))
    for each in (*comments, PUBLISHED_KEY, HELD_KEY, PUBLISHED_KEY | expired):
        boto3.resource("dynamodb").Table(table).put_item(Item=each)
    assert everything(store) == [PUBLISHED, HELD]
    assert store.add(ALICE, key="key of alice") == PUBLISHED
    assert store.add(BOB, key="key of bob", held=True) == HELD
    assert everything(store) == [PUBLISHED, HELD]
    for new, key in ((ALICE, "expired"), (BOB, "key of alice")):
        assert store.add(new, key=key)["id"] > HELD["id"]
    published = store.approve(2, HELD["id"])
    assert published
    assert store.delete(1, PUBLISHED["id"])
    assert store.get(2, published["id"]) == published
    assert store.get(1, PUBLISHED["id"]) is None


def test_new_items_have_the_shapes_that_release_0_1_reads(store: DynamoDBStore, table: str) -> None:
    published, held = store.add(ALICE, key="key of alice"), store.add(BOB, held=True)
    approved = store.approve(2, store.add(BOB, held=True)["id"])
    assert approved
    stored: dict[Any, Any] = {each["pk"]: each for each in boto3.resource("dynamodb").Table(table).scan()["Items"]}
    assert len(stored) == 5  # with the approval, a key that release 0.1 does not ask for
    assert stored["thread#1"] == item("thread#1", published)
    assert stored["thread#2"] == item("thread#2", approved)
    shard = f"held#{int(held['id'][-1], 16) % 4}"
    assert stored[shard] == item(shard, held, content_id=2)
    key = stored["key#" + hashlib.sha256(b"1\nkey of alice").hexdigest()]
    assert EXPIRES_AT <= key["expires_at"] < EXPIRES_AT + 3600
    assert key == PUBLISHED_KEY | {"pk": key["pk"], "id": published["id"], "expires_at": key["expires_at"]}


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
    proxy.script += [faults.well, *[in_transaction] * times]
    held = store.add(BOB, key="k", held=True)
    proxy.script += [faults.well, *[in_transaction] * times]
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


# Errors that stay; tests/resilience/test_faults.py has more


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (faults.refuse("ThrottlingException"), ATTEMPTS),
        (faults.reset, ATTEMPTS),
        (faults.refuse("AccessDeniedException"), 1),
    ],
)
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


def test_conflicts_that_last_end_with_an_error(
    store: DynamoDBStore, proxy: faults.Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "CONFLICT_SECONDS", 0.1)
    proxy.script = [faults.well]
    proxy.always = faults.cancelled("TransactionConflict")
    with pytest.raises(StoreError, match="TransactionCanceledException"):
        store.add(ALICE, key="k")


def test_lists_repeat_comments_for_as_long_as_the_slowest_write(store: DynamoDBStore) -> None:
    """A follower that is past the id of a slow write would never see its comment."""
    config: Any = store._client.meta.config
    assert store.overlap > config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)


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
