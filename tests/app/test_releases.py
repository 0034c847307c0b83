"""Data of the previous release, recorded in data/, and what it reads of this one: both serve a table together."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from comments.cli import cli
from comments.schemas import Comment, NewComment
from comments.stores import CommentStore, open_store
from comments.stores.dynamodb import RECENT
from tests.app.support import ATTRIBUTES, INDEX, ROOT, create_table, wait_until

RECORDED = json.loads((ROOT / "tests/app/data/release-0.2.0.json").read_text())
"""What release 0.2.0 returned and stored when Alice posted with a key, Bob with another, pending approval, and Carol's
comment was approved. Only the times at which keys expire were changed, to the year 2100."""

ALICE = NewComment(content_id=1, email="alice@example.com", comment="published")
BOB = NewComment(content_id=2, email="bob@example.com", comment="pending")


@pytest.fixture(params=["sqlite", "dynamodb"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[CommentStore, dict[str, Any]]]:
    """A store that release 0.2.0 has filled, and the comments in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(ROOT / 'tests/app/data/release-0.2.0.db', tmp_path)}"
    else:
        request.getfixturevalue("dynamodb")
        table = create_table()
        for item in RECORDED["items"]:
            boto3.client("dynamodb").put_item(TableName=table, Item=item)
        url = f"dynamodb://{table}"
    with closing(open_store(url)) as store:
        yield store, RECORDED[request.param]


def listed(store: CommentStore, content_id: int) -> list[Comment]:
    return store.list_comments(content_id, limit=100).comments


def test_comments_keys_and_approvals_of_the_previous_release_are_known(
    recorded: tuple[CommentStore, dict[str, Any]],
) -> None:
    store, expected = recorded
    assert (listed(store, 1), listed(store, 2)) == ([expected["published"]], [expected["approved"]])
    assert store.list_held(limit=10).comments == [expected["pending"]]
    for new, key, first in ((ALICE, "key of alice", "published"), (BOB, "key of bob", "pending")):
        assert store.find_replay(new, key) == store.add(new, key=key) == expected[first]
    assert store.get(2, expected["approved_from"]) == expected["approved"]
    assert store.approve(2, expected["approved_from"]) == expected["approved"]


def test_comments_of_the_previous_release_can_be_changed(recorded: tuple[CommentStore, dict[str, Any]]) -> None:
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
        store.add(ALICE, key="key of alice")
        store.add(BOB, key="key of bob", held=True)
        store.approve(2, store.add(BOB, held=True)["id"])

    def shapes(items: list[dict[str, Any]]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """Return the kind of key, and the name and type of each attribute; an approval never expires any more.

        The previous release ignores counters and the key of the index.
        """
        found = []
        for item in items:
            attributes = ((name, next(iter(value))) for name, value in item.items())
            kept = tuple(sorted(each for each in attributes if each[0] not in {"expires_at", RECENT}))
            found.append((item["pk"]["S"].partition("#")[0], kept))
        return sorted(each for each in found if each[0] != "count")

    assert shapes(boto3.client("dynamodb").scan(TableName=table)["Items"]) == shapes(RECORDED["items"])


@pytest.mark.usefixtures("dynamodb")
def test_a_table_with_data_gets_the_index_while_it_is_in_use_and_is_completed_by_a_command() -> None:
    """CloudFormation makes the same call for a new index; contract/test_table.py shows that it replaces nothing.

    DynamoDB accepts writes while it creates an index; the local engine does not.
    """
    table, client = create_table(indexed=False), boto3.client("dynamodb")
    for item in RECORDED["items"]:
        client.put_item(TableName=table, Item=item)
    with closing(open_store(f"dynamodb://{table}")) as store:
        new = store.add(ALICE)
        client.update_table(
            TableName=table,
            AttributeDefinitions=ATTRIBUTES,
            GlobalSecondaryIndexUpdates=[{"Create": INDEX}],
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
