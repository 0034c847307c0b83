"""Comments move from Isso's database; whatever cannot be imported is listed in full."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comments.canonical import thread_of
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
    """An Isso database, and the store that it moves to."""

    def __init__(self, folder: Path, url: str) -> None:
        self.database, self.mapping, self.url = folder / "isso.db", folder / "threads.json", url
        self.report = folder / "isso.db.report.jsonl"
        with closing(sqlite3.connect(self.database)) as db:
            db.executescript(TABLES)
        self.arguments = ("import", self.database, "--store", url)

    def add(self, text: Any, **changes: Any) -> None:
        row = {"tid": 1, "created": START, "mode": 1, "author": "Ann", "email": "a@example.com", "parent": None}
        with closing(sqlite3.connect(self.database)) as db, db:
            db.execute(
                "INSERT INTO comments (tid, parent, created, mode, remote_addr, text, author, email, website, voters)"
                " VALUES (:tid, :parent, :created, :mode, '192.0.2.0', :text, :author, :email, 'https://x.org', x'00')",
                row | changes | {"text": text},
            )

    def move(self, *more: object) -> tuple[int, str]:
        status, out, err = run(*self.arguments, *more)
        assert out == b""
        return status, err[0]

    def comments(self) -> list[dict[str, Any]]:
        return sorted((json.loads(line) for line in export(self.url).splitlines()), key=lambda comment: comment["id"])

    def reported(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.report.read_bytes().splitlines()[1:]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, f"sqlite:///{tmp_path}/comments.db")


def test_names_pages_parents_and_order_stay_and_pending_comments_are_held(tmp_path: Path, store_url: str) -> None:
    site = Site(tmp_path, store_url)
    site.add("first")
    site.add("reply", created=START + 60, parent=1, author=None)
    site.add("olá 😀\r\nline", tid=2, created=START + 90, email="joão@example.com")
    site.add("pending", created=START + 120, mode=2)
    site.add("", created=START + 130, mode=4)
    assert site.move() == (0, "5 read, 4 stored, 0 already there, 1 skipped: 1 deleted")
    comments = site.comments()
    keys = ("page", "name", "email", "comment", "created_at", "parent", "held")
    first = "018bcfe5-687d-7000-8000-0000e3fe5912"  # as release 0.2.0: a second import must find it
    assert [comment["id"] for comment in comments[:1]] == [first]
    assert [tuple(comment.get(key) for key in keys) for comment in comments] == [
        ("/posts/hello", "Ann", "a@example.com", "first", "2023-11-14T22:13:20.125Z", None, None),
        ("/posts/hello", "Anonymous", "a@example.com", "reply", "2023-11-14T22:14:20.125Z", first, None),
        ("/posts/olá", "Ann", "joão@example.com", "olá 😀\nline", "2023-11-14T22:14:50.125Z", None, None),
        ("/posts/hello", "Ann", "a@example.com", "pending", "2023-11-14T22:15:20.125Z", None, True),
    ]
    site.add("new", created=START + 200)
    assert site.move() == (0, "6 read, 1 stored, 4 already there, 1 skipped: 1 deleted")
    assert [comment["id"] for comment in site.comments()[:4]] == [comment["id"] for comment in comments]


def test_the_first_run_writes_a_mapping_that_the_second_run_uses(site: Site) -> None:
    site.add("hello")
    site.add("olá", tid=2)
    site.add("left out", tid=5)
    threads = ("--threads", site.mapping)
    assert f"{site.mapping} did not exist; wrote a draft" in fail(*site.arguments, *threads)
    draft = {"/posts/hello/": "/posts/hello", '/posts/olá/?a="b"': "/posts/olá", "/old/": "/old"}
    assert json.loads(site.mapping.read_bytes()) == draft
    site.mapping.write_text(json.dumps({**draft, "/posts/hello/": 7, '/posts/olá/?a="b"': "/new/", "/old/": None}))
    assert site.move(*threads) == (0, "3 read, 2 stored, 0 already there, 1 skipped: 1 left out")
    places = sorted((comment["comment"], comment.get("page"), comment["content_id"]) for comment in site.comments())
    assert places == [("hello", None, 7), ("olá", "/new", thread_of("/new"))]
    assert [(each["page"], each["skipped"]) for each in site.reported()] == [("/old/", "left out")]


def test_invalid_comments_are_reported_in_full(site: Site) -> None:
    invalid: list[tuple[str, Any, dict[str, Any]]] = [
        ("comment", "x" * 10_001, {}),
        ("comment", "a\x08b", {}),
        ("comment", b"\xff\xfe", {}),
        ("page", "y", {"tid": 77}),
        ("created", "y", {"created": time.time() + 10**6}),
        ("created", "y", {"created": "yesterday"}),
    ]
    for _, text, changes in invalid:
        site.add(text, **changes)
    site.add("good")
    site.report = site.report.with_name("out.jsonl")
    status, counts = site.move("--report", site.report)
    assert (status, counts) == (3, "7 read, 1 stored, 0 already there, 6 skipped: 6 invalid")
    reported = sorted(site.reported(), key=lambda each: each["record"]["id"])
    texts = ["x" * 10_001, "a\x08b", {"base64": "//4="}, *["y"] * 3]
    assert [each["record"]["text"] for each in reported] == texts
    assert [each["errors"][0]["field"] for each in reported] == [field for field, _, _ in invalid]


def test_invalid_addresses_and_long_names_do_not_drop_a_comment(site: Site) -> None:
    site.add("address", email="a b")
    site.add("name", author="n" * 51, created=START + 1)
    site.add("address as name", author="a@example.com", created=START + 2)
    site.add("no visible name", author="\u200b\n", email=None, created=START + 3)
    assert site.move() == (0, "4 read, 4 stored, 0 already there, 0 skipped")
    assert [(comment["name"], comment.get("email")) for comment in site.comments()] == [
        ("Ann", None),
        ("n" * 49 + "…", "a@example.com"),
        ("Anonymous", "a@example.com"),
        ("Anonymous", None),
    ]
    changed = [(each["record"]["text"], each["changed"][0]["field"]) for each in site.reported()]
    assert changed == [("address", "email"), ("name", "name"), ("address as name", "name")]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ('{"/posts/hello/": 1}', "lacks 1 of 2 threads: '/posts/olá/?a=\"b\"'"),
        ('{"/posts/hello/": 0}', "'/posts/hello/' must be a page such as /posts/hello, a content_id, or null"),
        ('{"/posts/hello/": "hello"}', "'/posts/hello/' must be a page such as /posts/hello, a content_id, or null"),
        ("[]", "threads.json: must be a JSON object"),
        ('{"/posts/hello/": 1, "/posts/hello/": 2}', "threads.json is not valid JSON"),
    ],
)
def test_an_invalid_mapping_is_rejected_before_the_store_is_opened(site: Site, mapping: str, message: str) -> None:
    site.add("x")
    site.add("y", tid=2)
    site.mapping.write_text(mapping)
    assert message in fail(*site.arguments, "--threads", site.mapping)
    assert not list(site.mapping.parent.glob("comments.db*"))


def test_other_files_are_not_databases_of_isso(site: Site) -> None:
    site.database.write_text("not a database")
    assert f"{site.database} is not a readable database of Isso: file is not" in fail(*site.arguments, "--from", "isso")
    assert f"{site.database} has none of the supported formats" in fail(*site.arguments)
    site.database.unlink()
    assert f"{site.database}: No such file" in fail(*site.arguments)
