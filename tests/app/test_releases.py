"""Data of the previous release, recorded in data/, and what it reads of this one: both serve a table together."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from comments.cli import cli
from comments.comment import Comment
from comments.stores import CommentStore, open_store
from tests.app.record_release import ALICE, BOB, DATA, DORA, PAGE, fill, promises
from tests.app.support import ATTRIBUTES, INDEX, TOKEN, client_of, create_table, wait_until

OLDEST, PREVIOUS = "0.2.0", "1.0.0"
"""The oldest release whose stores can be used, and the one that shares a table with this one during a rollout."""
RECORDED = {
    release: json.loads((DATA / f"release-{release}.json").read_text()) for release in dict.fromkeys([OLDEST, PREVIOUS])
}
"""What record_release.py recorded; of 0.2.0, by hand. Only the times at which keys expire are not original."""


@pytest.fixture(params=RECORDED)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sqlite", "dynamodb"])
def recorded(
    request: pytest.FixtureRequest, release: str, tmp_path: Path
) -> Iterator[tuple[CommentStore, dict[str, Any]]]:
    """A store that the release has filled, and the comments in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(DATA / f'release-{release}.db', tmp_path)}"
    else:
        request.getfixturevalue("dynamodb")
        table = create_table()
        for item in RECORDED[release]["items"]:
            boto3.client("dynamodb").put_item(TableName=table, Item=item)
        url = f"dynamodb://{table}"
    with closing(open_store(url)) as store:
        yield store, RECORDED[release][request.param]


def listed(store: CommentStore, content_id: int) -> list[Comment]:
    return store.list_comments(content_id, limit=100).comments


def test_comments_keys_and_approvals_of_earlier_releases_are_known(
    recorded: tuple[CommentStore, dict[str, Any]],
) -> None:
    store, expected = recorded
    assert (listed(store, 1), listed(store, 2)) == ([expected["published"]], [expected["approved"]])
    assert store.list_held(limit=10).comments == [expected["pending"]]
    for new, key, first in ((ALICE, "key of alice", "published"), (BOB, "key of bob", "pending")):
        assert store.find_replay(new, key) == store.add(new, key=key) == expected[first]
    assert store.get(2, expected["approved_from"]) == expected["approved"]
    assert store.approve(2, expected["approved_from"]) == expected["approved"]
    if page := expected.get("page"):
        assert listed(store, PAGE) == page
        assert store.is_trusted(DORA.token_hash)
        assert [each.comment_id for each in store.list_outbox("webhook", limit=10)] == [expected["published"]["id"]]
        assert store.count([1, 2, PAGE]) == {1: 1, 2: 1, PAGE: 2}


def test_comments_of_earlier_releases_can_be_changed(recorded: tuple[CommentStore, dict[str, Any]]) -> None:
    store, expected = recorded
    approved = store.approve(2, expected["pending"]["id"])
    assert approved
    assert listed(store, 2) == [expected["approved"], approved]
    later = store.add(ALICE)
    assert listed(store, 1) == [expected["published"], later]
    assert store.delete(1, expected["published"]["id"])
    assert listed(store, 1) == [later]


@pytest.mark.usefixtures("dynamodb")
def test_the_previous_release_finds_all_attributes_that_it_reads() -> None:
    """playground/test_rollouts.py shows the same with its image."""
    table = create_table()
    with closing(open_store(f"dynamodb://{table}")) as store:
        fill(store)

    def shapes(items: list[dict[str, Any]]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """Return the kind of key, and the name and type of each attribute."""
        return sorted(
            (
                item["pk"]["S"].partition("#")[0],
                tuple(sorted((name, next(iter(value))) for name, value in item.items())),
            )
            for item in items
        )

    stored = shapes(boto3.client("dynamodb").scan(TableName=table)["Items"])
    assert stored == shapes(RECORDED[PREVIOUS]["items"]), "new attributes belong into this test, after a review"


def test_the_previous_release_opens_files_of_this_one(tmp_path: Path) -> None:
    """It refuses a file with a larger version, and reads these columns."""

    def read(file: Path) -> tuple[int, set[tuple[str, str]]]:
        with closing(sqlite3.connect(file)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            columns = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'"
            return version, set(database.execute(columns))

    open_store(f"sqlite:///{tmp_path}/comments.db").close()
    version, columns = read(tmp_path / "comments.db")
    supported, expected = read(DATA / f"release-{PREVIOUS}.db")
    assert version <= supported
    assert columns >= expected


def test_clients_of_the_previous_release_find_what_it_promised(sqlite: CommentStore) -> None:
    document = client_of(sqlite, COMMENTS_MODERATOR_TOKEN=TOKEN).get("/openapi.json").json
    assert document
    assert promises(document) >= set(RECORDED[PREVIOUS]["api"])


@pytest.mark.usefixtures("dynamodb")
def test_a_table_with_data_gets_the_index_while_it_is_in_use_and_is_completed_by_a_command() -> None:
    """CloudFormation makes the same call for a new index; contract/test_table.py shows that it replaces nothing.

    DynamoDB accepts writes while it creates an index; the local engine does not.
    """
    table, client = create_table(indexed=False), boto3.client("dynamodb")
    for item in RECORDED[OLDEST]["items"]:
        client.put_item(TableName=table, Item=item)
    with closing(open_store(f"dynamodb://{table}")) as store:
        new = store.add(ALICE)
        client.update_table(
            TableName=table, AttributeDefinitions=ATTRIBUTES, GlobalSecondaryIndexUpdates=[{"Create": INDEX}]
        )
        wait_until(
            lambda: (
                client.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
            )
        )
        store.add(BOB)
        assert [each["id"] for each in store.list_recent(limit=10).comments][-1] == new["id"]
        assert store.count([1, 2]) == {1: 1, 2: 1}
    rebuilt = CliRunner().invoke(cli, ["rebuild", "--store", f"dynamodb://{table}"])
    assert (rebuilt.exit_code, rebuilt.output) == (0, "4 published comments counted\n")
    with closing(open_store(f"dynamodb://{table}")) as store:
        expected = sorted((each for each in store.scan()), key=itemgetter("id"), reverse=True)
        assert len(expected) == 5
        assert store.list_recent(limit=10).comments == expected
        assert store.count([1, 2]) == {1: 2, 2: 2}
