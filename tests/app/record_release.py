"""Records what this release stores and promises: `make test ARGS=tests/app/record_release.py`, when it is released.

The upgrade tests of the next releases read it.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3

from comments.canonical import thread_of
from comments.comment import Author, NewComment
from comments.http.status import VERSION
from comments.stores import CommentStore, open_store
from tests.app.support import ROOT, TOKEN, client_of, create_table

DATA = ROOT / "tests/app/data"
ALICE = NewComment(content_id=1, email="alice@example.com", comment="published")
BOB = NewComment(content_id=2, email="bob@example.com", comment="pending")
CAROL = NewComment(content_id=2, email="carol@example.com", comment="approved")
PAGE = thread_of("/posts/hello")
DORA = Author("0" * 64)
IN_2100 = 4_102_444_800


def fill(store: CommentStore) -> dict[str, Any]:
    """Post comments of all kinds; return them by name, and what else the store knows."""
    store.targets = ("webhook",)
    published = store.add(ALICE, key="key of alice")
    store.targets = ()
    pending = store.add(BOB, key="key of bob", held=True)
    first = store.add(CAROL, held=True)
    question = NewComment(name="Dora", email="dora@example.com", comment="a question", page="/posts/hello")
    asked = store.approve(PAGE, store.add(question, held=True, by=DORA)["id"])
    assert asked
    answer = NewComment(name="Erik", comment="an answer", page="/posts/hello", parent=asked["id"])
    answered = store.add(answer, by=Author(moderator=True))
    edited = store.edit(PAGE, answered["id"], "a better answer", "2026-12-02T12:00:00.000Z")
    return {
        "published": published,
        "pending": pending,
        "approved": store.approve(2, first["id"]),
        "approved_from": first["id"],
        "page": [asked, edited],
    }


def promises(document: dict[str, Any]) -> set[str]:
    """Return what clients rely on in an OpenAPI document: operations, parameters, responses, and fields."""
    found = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            found |= {f"{name}: {each['name']} in {each['in']}" for each in operation.get("parameters", [])}
            found |= {f"{name}: {status}" for status in operation["responses"] if status < "400"}
    for name, schema in document["components"]["schemas"].items():
        found |= {f"{name}: {field}" for field in schema.get("properties", {})}
    return found


def test_record(dynamodb: str, tmp_path: Path) -> None:  # noqa: ARG001  # starts the engine
    table = create_table()
    with closing(open_store(f"dynamodb://{table}")) as store:
        on_dynamodb = fill(store)
    items = boto3.client("dynamodb").scan(TableName=table)["Items"]
    file = tmp_path / "comments.db"
    with closing(open_store(f"sqlite:///{file}")) as store:
        on_sqlite = fill(store)
        api = promises(client_of(store, COMMENTS_MODERATOR_TOKEN=TOKEN).get("/openapi.json").json or {})
    for item in items:
        if "expires_at" in item and item["expires_at"]["N"] < str(IN_2100):
            item["expires_at"]["N"] = str(IN_2100)
    (DATA / f"release-{VERSION}.db").unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE idempotency_key SET expires_at = max(expires_at, ?)", (IN_2100,))
        database.commit()
        database.execute("VACUUM INTO ?", (str(DATA / f"release-{VERSION}.db"),))
    recorded = {"sqlite": on_sqlite, "dynamodb": on_dynamodb, "items": items, "api": sorted(api)}
    (DATA / f"release-{VERSION}.json").write_text(json.dumps(recorded, indent=1) + "\n")
