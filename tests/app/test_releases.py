"""Data of the previous release, recorded in data/, and what it reads of this one: both serve a table together."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest

from comments.schemas import Comment, NewComment
from comments.stores import CommentStore, open_store
from tests.app.conftest import ROOT, create_table

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
        """Return the kind of key, and the name and type of each attribute; an approval never expires any more."""
        attributes = [
            {name: next(iter(value)) for name, value in item.items() if name != "expires_at"} for item in items
        ]
        kinds = [item["pk"]["S"].partition("#")[0] for item in items]
        return sorted((kind, tuple(sorted(each.items()))) for kind, each in zip(kinds, attributes, strict=True))

    assert shapes(boto3.client("dynamodb").scan(TableName=table)["Items"]) == shapes(RECORDED["items"])
