"""A site leaves Isso: what can be kept is kept, the rest is listed, nothing is made up."""

import json
import sqlite3
import time

import pytest

from tests.transfer.conftest import export, fail, run

# The tables of Isso 0.13 and 0.14, of which an import needs these columns and must not mind the others.
TABLES = """
CREATE TABLE preferences (key VARCHAR PRIMARY KEY, value VARCHAR);
CREATE TABLE threads (id INTEGER PRIMARY KEY, uri VARCHAR(256) UNIQUE, title VARCHAR(256));
CREATE TABLE comments (
    tid REFERENCES threads(id), id INTEGER PRIMARY KEY, parent INTEGER, created FLOAT NOT NULL, modified FLOAT,
    mode INTEGER, remote_addr VARCHAR, text VARCHAR NOT NULL, author VARCHAR, email VARCHAR, website VARCHAR,
    likes INTEGER DEFAULT 0, dislikes INTEGER DEFAULT 0, voters BLOB NOT NULL, notification INTEGER DEFAULT 0
);
PRAGMA user_version = 5;
INSERT INTO threads VALUES (1, '/posts/hello/', 'Hello'), (2, '/posts/ol\u00e1/?a="b"', NULL), (5, '/old/', 'Old');
"""
BEGAN = 1_700_000_000.125


class Site:
    """An Isso database, its mapping, and the store that it moves to."""

    def __init__(self, folder, url):
        self.database, self.mapping, self.url = folder / "isso.db", folder / "threads.json", url
        self.report = folder / "threads.report.jsonl"
        with sqlite3.connect(self.database) as connection:
            connection.executescript(TABLES)
        connection.close()
        self.mapping.write_text(json.dumps({"/posts/hello/": 101, '/posts/ol\u00e1/?a="b"': 102, "/old/": None}))

    def say(self, text, *, thread=1, created=BEGAN, mode=1, email="a@example.com", parent=None):
        with sqlite3.connect(self.database) as connection:
            connection.execute(
                "INSERT INTO comments (tid, parent, created, mode, remote_addr, text, author, email, website, voters)"
                " VALUES (?, ?, ?, ?, '192.0.2.0', ?, 'Ann', ?, 'https://example.com', x'00')",
                (thread, parent, created, mode, text, email),
            )
        connection.close()

    def arguments(self, *more):
        return ("import", "--from", "isso", self.database, "--threads", self.mapping, "--store", self.url, *more)

    def move(self, *more):
        status, out, err = run(*self.arguments(*more))
        assert out == b""
        return status, err

    def comments(self):
        return [json.loads(line) for line in export(self.url).splitlines()]

    def reported(self):
        return [json.loads(line) for line in self.report.read_bytes().splitlines()[1:]]


@pytest.fixture
def site(tmp_path, store_url):
    return Site(tmp_path, store_url)


@pytest.fixture
def local(tmp_path, other_url):
    """The same on SQLite alone, for what the store has no part in."""
    return Site(tmp_path, other_url)


def test_comments_keep_text_email_time_and_order_and_pending_ones_are_held(site):
    site.say("first")
    site.say("a reply", created=BEGAN + 60, parent=1)
    site.say("ol\u00e1 \U0001f600\r\nline", thread=2, created=BEGAN + 90, email="jo\u00e3o@example.com")
    site.say("waits", created=BEGAN + 120, mode=2)
    site.say("", created=BEGAN + 130, mode=4)
    site.say("of a thread that nobody wants", thread=5)
    status, err = site.move()
    assert status == 0
    assert "4 imported, 0 already there; 1 deleted in Isso, 1 of threads set to null" in err
    assert "COMMENTS_EMAILS" in err
    comments = sorted(site.comments(), key=lambda comment: comment["id"])
    for comment in comments:
        del comment["id"]
    expected = [
        (101, "a@example.com", "first", "2023-11-14T22:13:20.125Z"),
        (101, "a@example.com", "a reply", "2023-11-14T22:14:20.125Z"),
        (102, "jo\u00e3o@example.com", "ol\u00e1 \U0001f600\nline", "2023-11-14T22:14:50.125Z"),
    ]
    names = ("content_id", "email", "comment", "created_at")
    held = dict(zip(names, (101, "a@example.com", "waits", "2023-11-14T22:15:20.125Z"), strict=True)) | {"held": True}
    assert comments == [dict(zip(names, each, strict=True)) for each in expected] + [held]
    assert not site.report.exists()


def test_a_second_run_doubles_nothing_and_adds_what_is_new(site):
    for number in range(30):
        site.say(str(number), created=BEGAN + number)
    assert "30 imported, 0 already there" in site.move()[1]
    before = site.comments()
    assert "0 imported, 30 already there" in site.move()[1]
    assert site.comments() == before
    site.say("new", created=BEGAN + 100)
    assert "1 imported, 30 already there" in site.move()[1]


def test_comments_of_the_same_second_keep_the_order_in_which_they_came(local):
    expected = [str(number) for number in range(50)]
    for text in expected:
        local.say(text)
    assert local.move()[0] == 0
    assert [comment["comment"] for comment in local.comments()] == expected


def test_a_draft_of_the_mapping_is_written_and_can_be_used(local):
    local.mapping.unlink()
    local.say("hello")
    local.say("ol\u00e1", thread=2)
    said = fail(*local.arguments())
    assert f"{local.mapping} was not there, so a draft was written" in said
    assert "run this again" in said
    assert json.loads(local.mapping.read_bytes()) == {"/posts/hello/": 1, '/posts/ol\u00e1/?a="b"': 2, "/old/": 5}
    assert local.move()[0] == 0
    assert {comment["content_id"] for comment in local.comments()} == {1, 2}


def test_comments_without_an_email_are_listed_and_imported_only_under_a_given_one(site):
    site.say("with")
    site.say("none", email=None, created=BEGAN + 1)
    site.say("empty", email="", created=BEGAN + 2)
    status, err = site.move()
    assert status == 3
    assert f"2 were NOT imported: {site.report} lists" in err
    assert [comment["comment"] for comment in site.comments()] == ["with"]
    assert [(line["isso"]["id"], line["isso"]["text"], line["isso"]["author"]) for line in site.reported()] == [
        (2, "none", "Ann"),
        (3, "empty", "Ann"),
    ]
    assert all(line["errors"] == [{"field": "email", "message": "is missing"}] for line in site.reported())
    assert site.move("--missing-email", "skip")[0] == 3
    status, err = site.move("--missing-email", "unknown@example.com")
    assert status == 0
    assert "2 imported, 1 already there" in err
    assert sorted(comment["email"] for comment in site.comments()) == ["a@example.com"] + ["unknown@example.com"] * 2


def test_what_breaks_a_limit_is_listed_in_whole(local):
    texts = ["x" * 10_001, "a\x08b", "  ", b"\xff\xfe", "y", "y", "y", "y", "y"]
    changes = [{}, {}, {}, {}, {"email": "a b"}, {"mode": 9}, {"thread": 77}, {"created": time.time() + 10**6}]
    changes.append({"created": "soon"})
    for text, change in zip(texts, changes, strict=True):
        local.say(text, **change)
    local.say("good")
    status, err = local.move("--report", local.report.with_name("out.jsonl"))
    local.report = local.report.with_name("out.jsonl")
    assert status == 3
    assert "1 imported, 0 already there" in err
    reported = local.reported()
    fields = [error["field"] for line in reported for error in line["errors"]]
    expected = ["comment", "comment", "comment", "text", "email", "mode", "created", "created", "thread"]
    assert fields == expected
    kept = {line["isso"]["id"]: line["isso"] for line in reported}
    assert kept[1]["text"] == "x" * 10_001
    assert kept[2]["text"] == "a\x08b"
    assert kept[4]["text"] == {"base64": "//4="}
    assert kept[7]["uri"] is None


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ('{"/posts/hello/": 1}', "lacks 2 of 3 threads: '/posts/ol\u00e1/?a=\"b\"', '/old/'"),
        ('{"/posts/hello/": "1"}', "'/posts/hello/' must have a content_id from 1 to 9007199254740991"),
        ('{"/posts/hello/": true}', "'/posts/hello/' must have a content_id"),
        ('{"/posts/hello/": 9007199254740992}', "'/posts/hello/' must have a content_id"),
        ('{"/posts/hello/": 1, "/posts/hello/": 2}', "is not valid JSON"),
        ("[1]", "must be a JSON object"),
        ("{", "is not valid JSON"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_before_anything_is_imported(local, mapping, said):
    local.say("x")
    local.mapping.write_text(mapping)
    assert said in fail(*local.arguments())
    assert "there is no store" in fail("export", "--store", local.url)


def test_what_is_no_database_of_isso_is_named(local):
    assert "--missing-email must be skip or an address" in fail(*local.arguments("--missing-email", "nobody"))
    local.database.write_text("not a database")
    assert f"{local.database} cannot be read as a database of Isso: file is not a database" in fail(*local.arguments())
    local.database.unlink()
    sqlite3.connect(local.database).close()
    assert "no such table: threads" in fail(*local.arguments())
    local.database.unlink()
    assert f"{local.database} is not there" in fail(*local.arguments())
