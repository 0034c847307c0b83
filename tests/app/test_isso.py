"""Comments move from Isso's database; whatever cannot be imported is listed in full."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_cli import export, fail, run

# The tables of Isso 0.13 and 0.14.
TABLES = """
CREATE TABLE preferences (key VARCHAR PRIMARY KEY, value VARCHAR);
CREATE TABLE threads (id INTEGER PRIMARY KEY, uri VARCHAR(256) UNIQUE, title VARCHAR(256));
CREATE TABLE comments (
    tid REFERENCES threads(id), id INTEGER PRIMARY KEY, parent INTEGER, created FLOAT NOT NULL, modified FLOAT,
    mode INTEGER, remote_addr VARCHAR, text VARCHAR NOT NULL, author VARCHAR, email VARCHAR, website VARCHAR,
    likes INTEGER DEFAULT 0, dislikes INTEGER DEFAULT 0, voters BLOB NOT NULL, notification INTEGER DEFAULT 0
);
PRAGMA user_version = 5;
INSERT INTO threads VALUES (1, '/posts/hello/', 'Hello'), (2, '/posts/olá/?a="b"', NULL), (5, '/old/', 'Old');
"""
START = 1_700_000_000.125


class Site:
    """An Isso database, its mapping, and the store that it moves to."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database, self.mapping, self.url = folder / "isso.db", folder / "threads.json", url
        self.report = folder / "threads.report.jsonl"
        with closing(sqlite3.connect(self.database)) as db:
            db.executescript(TABLES)
        self.mapping.write_text(json.dumps({"/posts/hello/": 101, '/posts/olá/?a="b"': 102, "/old/": None}))
        self.arguments = ("import", "--from", "isso", self.database, "--threads", self.mapping, "--store", url)

    def add(self, text: Any, **changes: Any) -> None:
        row = {"tid": 1, "created": START, "mode": 1, "email": "a@example.com"} | changes | {"text": text}
        with closing(sqlite3.connect(self.database)) as db, db:
            db.execute(
                "INSERT INTO comments (tid, created, mode, remote_addr, text, author, email, website, voters)"
                " VALUES (:tid, :created, :mode, '192.0.2.0', :text, 'Ann', :email, 'https://example.com', x'00')",
                row,
            )

    def move(self, *more: object) -> tuple[int, str]:
        status, out, err = run(*self.arguments, *more)
        assert out == b""
        assert "COMMENTS_EMAILS" in err[0]
        return status, "\n".join(err[1:])

    def comments(self) -> list[dict[str, Any]]:
        return sorted((json.loads(line) for line in export(self.url).splitlines()), key=lambda comment: comment["id"])

    def reported(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.report.read_bytes().splitlines()[1:]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, f"sqlite:///{tmp_path}/comments.db")


def test_text_email_time_and_order_stay_and_pending_comments_are_held(tmp_path: Path, store_url: str) -> None:
    site = Site(tmp_path, store_url)
    site.add("first")
    site.add("reply", created=START + 60)
    site.add("olá 😀\r\nline", tid=2, created=START + 90, email="joão@example.com")
    site.add("pending", created=START + 120, mode=2)
    site.add("", created=START + 130, mode=4)
    site.add("in a thread that is left out", tid=5)
    assert site.move() == (0, "4 imported, 0 already there; 1 deleted in Isso, 1 in threads set to null")
    comments = site.comments()
    assert [tuple(comment.values())[1:] for comment in comments] == [
        (101, "a@example.com", "first", "2023-11-14T22:13:20.125Z"),
        (101, "a@example.com", "reply", "2023-11-14T22:14:20.125Z"),
        (102, "joão@example.com", "olá 😀\nline", "2023-11-14T22:14:50.125Z"),
        (101, "a@example.com", "pending", "2023-11-14T22:15:20.125Z", True),
    ]
    assert comments[0]["id"] == "018bcfe5-687d-7000-8000-0000e3fe5912"  # a second import must find it
    assert not site.report.exists()
    site.add("new", created=START + 200)
    assert site.move()[1].startswith("1 imported, 4 already there")
    assert [comment["id"] for comment in site.comments()[:4]] == [comment["id"] for comment in comments]


def test_the_first_run_writes_a_mapping_that_the_second_run_uses(site: Site) -> None:
    site.mapping.unlink()
    site.add("hello")
    site.add("olá", tid=2)
    assert f"{site.mapping} did not exist; wrote a draft" in fail(*site.arguments)
    assert json.loads(site.mapping.read_bytes()) == {"/posts/hello/": 1, '/posts/olá/?a="b"': 2, "/old/": 5}
    assert site.move()[0] == 0
    assert [comment["content_id"] for comment in site.comments()] == [1, 2]


def test_comments_without_an_address_are_reported_or_imported_under_a_given_one(site: Site) -> None:
    site.add("with")
    site.add("none", email=None, created=START + 1)
    site.add("empty", email="", created=START + 2)
    status, err = site.move()
    assert status == 3
    assert f"2 NOT imported; {site.report} lists each" in err
    reasons = [{"field": "email", "message": "is required"}]
    reported = [(each["isso"]["text"], each["isso"]["author"], each["errors"]) for each in site.reported()]
    assert reported == [("none", "Ann", reasons), ("empty", "Ann", reasons)]
    status, err = site.move("--missing-email", "unknown@example.com")
    assert status == 0
    assert err.startswith("2 imported, 1 already there")
    assert [comment["email"] for comment in site.comments()] == ["a@example.com", *["unknown@example.com"] * 2]
    assert "--missing-email must be skip or" in fail(*site.arguments, "--missing-email", "nobody", status=2)


def test_invalid_comments_are_reported_in_full(site: Site) -> None:
    invalid: list[tuple[str, Any, dict[str, Any]]] = [
        ("comment", "x" * 10_001, {}),
        ("comment", "a\x08b", {}),
        ("comment", b"\xff\xfe", {}),
        ("email", "y", {"email": "a b"}),
        ("mode", "y", {"mode": 9}),
        ("thread", "y", {"tid": 77}),
        ("created", "y", {"created": time.time() + 10**6}),
    ]
    for _, text, changes in invalid:
        site.add(text, **changes)
    site.add("good")
    site.report = site.report.with_name("out.jsonl")
    status, err = site.move("--report", site.report)
    assert status == 3
    assert err.startswith("1 imported, 0 already there")
    reported = sorted(site.reported(), key=lambda each: each["isso"]["id"])
    texts = ["x" * 10_001, "a\x08b", {"base64": "//4="}, *["y"] * 4]
    assert [each["isso"]["text"] for each in reported] == texts
    assert [each["errors"][0]["field"] for each in reported] == [field for field, _, _ in invalid]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ('{"/posts/hello/": 1}', "lacks 2 of 3 threads: '/posts/olá/?a=\"b\"', '/old/'"),
        ('{"/posts/hello/": 0}', "'/posts/hello/' must be a number from 1 to 9007199254740991, or null"),
        ('{"/posts/hello/": 1, "/posts/hello/": 2}', "threads.json is not valid JSON"),
    ],
)
def test_an_invalid_mapping_is_rejected_before_the_store_is_opened(site: Site, mapping: str, message: str) -> None:
    site.add("x")
    site.mapping.write_text(mapping)
    assert message in fail(*site.arguments)
    assert not list(site.mapping.parent.glob("comments.db*"))


def test_other_files_are_not_databases_of_isso(site: Site) -> None:
    site.database.write_text("not a database")
    assert f"{site.database} is not a readable database of Isso: file is not" in fail(*site.arguments)
    site.database.unlink()
    assert f"{site.database} does not exist" in fail(*site.arguments)
