"""python -m comments as a user runs it, on both stores."""

import base64
import errno
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from io import TextIOWrapper
from operator import itemgetter
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from typing import Any
from unittest.mock import Mock

import orjson
import pytest

from comments.cli import cli, main
from comments.comment import Author, Comment, NewComment
from comments.fields import MAX_COMMENT
from comments.ids import id_at, now, ticks
from comments.stores import CommentStore, open_store
from tests.app.support import ROOT, wait_until

TEXTS = ["plain", '" \\ <b>&amp;</b>\n\ttwo lines', "joão 😀 \u202e \u2028.", "😀" * (MAX_COMMENT - 5), '{"id":1}']


def run(*arguments: object, stdin: bytes = b"") -> tuple[int, bytes, list[str]]:
    """Run a command in this process; return the exit status, stdout, and the lines of stderr.

    Standard streams are files, since commands use their descriptors, which click's CliRunner does not provide.
    """
    with ExitStack() as opened:
        patch = opened.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sys, "argv", ["comments", *map(str, arguments)])
        files = {name: opened.enter_context(TemporaryFile()) for name in ("stdin", "stdout", "stderr")}
        files["stdin"].write(stdin)
        files["stdin"].seek(0)
        for name, file in files.items():
            patch.setattr(sys, name, opened.enter_context(TextIOWrapper(file, write_through=True)))
        with pytest.raises(SystemExit) as ended:
            main()
        for file in files.values():
            file.seek(0)
        return int(ended.value.code or 0), files["stdout"].read(), files["stderr"].read().decode().splitlines()


def fail(*arguments: object, status: int = 1, stdin: bytes = b"") -> str:
    """Run a command that must fail, and return its error message."""
    returned, _, err = run(*arguments, stdin=stdin)
    assert (returned, len(err)) == (status, 1), err
    assert err[0].startswith("error: ")
    assert err[0].isprintable()
    return err[0]


def export(url: str) -> bytes:
    status, out, err = run("export", "--store", url)
    assert status == 0, err
    return out


def some_comments(count: int) -> list[Comment]:
    """Return comments of the last day in seven threads; every fifth one is held."""
    comments = []
    for number, text in enumerate([*TEXTS, *["x" * 150] * count][:count]):
        new = NewComment(content_id=number % 7 or 2**53 - 1, email=f"u{number}@example.com", comment=f"{number} {text}")
        comments.append(new.stored(id_at(now() - ticks(86_000 - number)), held=number % 5 == 4))
    return comments


def fill(url: str, comments: list[Comment]) -> None:
    with closing(open_store(url)) as store:
        store.restore(comments)


def as_lines(comments: list[Comment]) -> list[bytes]:
    return [orjson.dumps(comment) for comment in comments]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/other.db"


def test_comments_move_to_another_store_and_back_byte_for_byte(
    url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comments.cli.BATCH", 50)
    comments, last = some_comments(118), f"sqlite:///{tmp_path}/last.db"
    # Their canonical forms are longer than what may be posted, and have a control character.
    pages = [NewComment(name="Eve", comment="x", page=page) for page in ("/" + "%" * 999, "/%C2%85")]
    comments += [new.stored(id_at(now()), held=False) for new in pages]
    fill(url, comments)
    assert sorted(export(url).splitlines()) == sorted(as_lines(comments))
    for source, target in ((url, store_url), (store_url, last)):
        for stored in (120, 0):
            end = f"120 read, {stored} stored, {120 - stored} already there, 0 skipped"
            assert run("import", "-", "--store", target, stdin=export(source)) == (0, b"", [end])
    assert sorted(export(store_url).splitlines()) == sorted(as_lines(comments))
    assert export(last) == export(url)


@pytest.mark.parametrize(
    ("store_url", "number"),
    [("sqlite", signal.SIGINT), ("sqlite", signal.SIGKILL), ("dynamodb", signal.SIGINT)],
    indirect=["store_url"],
)
def test_an_interrupted_import_is_completed_by_the_next_one(store_url: str, number: int) -> None:
    lines = as_lines(some_comments(600))
    command = [sys.executable, "-m", "comments", "import", "-", "--store", store_url]
    process = subprocess.Popen(command, cwd=ROOT / "app", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"\n".join(lines[:550]) + b"\n")
    process.stdin.flush()
    with closing(open_store(store_url)) as store:
        wait_until(lambda: any(store.scan()), process)  # the first batch is stored
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert (process.returncode, err) == (1, b"error: interrupted; run the same command again\n")
    status, _, said = run("import", "-", "--store", store_url, stdin=b"\n".join(lines))
    assert status == 0
    assert ", 0 already there" not in said[0]
    assert sorted(export(store_url).splitlines()) == sorted(lines)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "out.jsonl: No space left on device"),
        (KeyboardInterrupt(), "interrupted; run the same command again"),
    ],
)
def test_an_incomplete_export_leaves_no_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, message: str
) -> None:
    fill(url, some_comments(700))
    file = tmp_path / "out.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", Mock(side_effect=failure))
        assert message in fail("export", "--store", url, "--output", file)
    assert not list(tmp_path.glob("out*"))
    assert run("export", "--store", url, "--output", file) == (0, b"", ["700 exported"])
    monkeypatch.setenv("COMMENTS_STORE", url)
    assert run("export", "--output", "-") == (0, file.read_bytes(), ["700 exported"])


def test_no_other_file_is_overwritten(url: str, tmp_path: Path) -> None:
    file = tmp_path / "comments.jsonl"
    file.write_bytes(line())
    fill(url, [])
    assert f"{file} exists" in fail("export", "--store", url, "--output", file)
    assert f"{file} exists" in fail("import", file, "--store", url, "--report", file)
    assert file.read_bytes() == line()
    assert "Is a directory" in fail("export", "--store", url, "--output", tmp_path)


@pytest.mark.usefixtures("dynamodb")
def test_a_missing_store_is_named_and_not_created(url: str, tmp_path: Path) -> None:
    missing = f"--store: there is no SQLite database at {tmp_path}/other.db"
    assert missing in fail("export", "--store", url, status=2)
    store = ("--store", "dynamodb://no-such-table")
    assert "table no-such-table:" in fail("import", "-", *store, stdin=line())
    assert "table no-such-table:" in fail("export", *store, "--output", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["export", "--store", "mysql://x"], 2, "--store must be sqlite:///PATH or dynamodb://TABLE"),
        (["import", "/no/such\x1b[2J\n"], 1, "/no/such?[2J?: No such file or directory"),
        (["import", "-", "--threads", "x.json"], 2, "--host and --threads are for files of other systems"),
        (["import", "-", "--from", "disqus"], 2, "- needs --report"),
        (["import", "-", "--from", "isso", "--report", "-"], 2, "the database of Isso must be a file"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], status: int, message: str) -> None:
    assert message in fail(*arguments, status=status)


GOOD: dict[str, Any] = {**some_comments(1)[0], "content_id": 1, "comment": "good"}


def line(**changes: object) -> bytes:
    """Return a good line with changes; ... removes a field."""
    return json.dumps({name: value for name, value in (GOOD | changes).items() if value is not ...}).encode()


BAD = [
    (line(id="01a20cac-8b1e-4c9d-9d3f-5b0c3b6f1a52"), "id", "must be the id of a comment"),
    (line(id=...), "id", "is required"),
    (line(id=id_at(now() + ticks(10**8))), "id", "must not be more than a year in the future"),
    (line(created_at="2026-06-31T00:00:00.000Z"), "created_at", "must be a UTC time such as"),
    (line(held="yes"), "held", "must be a boolean"),
    (line(author="me"), "author", "must be a SHA-256"),
    (b"", "body", "is not valid JSON"),
    (b"[1]", "body", "must be a JSON object"),
    (line().replace(b"good", b"\xff"), "body", "is not valid JSON"),
]


def test_an_import_stops_at_the_first_bad_line(url: str) -> None:
    message = fail("import", "-", "--store", url, stdin=b"\n".join([line(), line(email="x"), line()]))
    assert message.startswith("error: line 2: email: must be an address with one @")
    truncated = fail("import", "-", "--store", url, stdin=line() + b"\n" + line()[:50])
    assert re.match("error: line 2: body: is not valid JSON.*the file may be truncated", truncated)


def test_skipped_lines_are_reported_in_full_with_their_reasons(url: str, tmp_path: Path) -> None:
    report = tmp_path / "bad.jsonl"
    data = b"".join(bad + b"\n" for bad, _, _ in BAD) + line()
    for stored in (1, 0):
        end = (
            f"{len(BAD) + 1} read, {stored} stored, {1 - stored} already there, {len(BAD)} skipped: {len(BAD)} invalid"
        )
        status, _, err = run("import", "-", "--from", "export", "--store", url, "--report", report, stdin=data)
        assert (status, err) == (3, [end, f"{report} lists what was skipped or changed, with the reason"])
    reported = [json.loads(each) for each in report.read_bytes().splitlines()[1:]]
    for number, ((bad, field, reason), found) in enumerate(zip(BAD, reported, strict=True), start=1):
        text = found["text"]
        assert found["line"] == number
        assert found["errors"][0]["field"] == field
        assert reason in found["errors"][0]["message"]
        assert (text.encode() if isinstance(text, str) else base64.b64decode(text["base64"])) == bad
    assert run("import", "-", "--store", url, "--report", report, stdin=line())[0] == 0
    assert not report.exists()


def test_an_id_may_occur_in_two_threads(store_url: str) -> None:
    fill(store_url, [])
    data = b"\n".join([line(content_id=1), line(content_id=2), line(content_id=1)])
    counts = "3 read, 2 stored, 1 already there, 0 skipped"
    for dry_run in (["--dry-run"], []):
        expected = f"dry run: {counts}" if dry_run else counts
        assert run("import", "-", "--store", store_url, *dry_run, stdin=data) == (0, b"", [expected])
    assert sorted(json.loads(each)["content_id"] for each in export(store_url).splitlines()) == [1, 2]


def test_a_dry_run_stores_nothing_and_creates_no_store(url: str, tmp_path: Path) -> None:
    report, data = tmp_path / "report.jsonl", line() + b"\n{}\n" + line()
    counts = "dry run: 3 read, 1 stored, 1 already there, 1 skipped: 1 invalid"
    status, _, err = run("import", "-", "--store", url, "--dry-run", "--report", report, stdin=data)
    assert (status, err[0]) == (3, counts)
    assert list(tmp_path.iterdir()) == [report]
    fill(url, [])
    assert run("import", "-", "--store", url, "--dry-run", stdin=line())[0] == 0
    assert export(url) == b""


def test_a_report_can_be_written_to_stdout(url: str) -> None:
    status, out, err = run("import", "-", "--store", url, "--report", "-", stdin=b"{}")
    assert (status, err) == (3, ["1 read, 0 stored, 0 already there, 1 skipped: 1 invalid"])
    assert json.loads(out)["skipped"] == "invalid"


def test_a_compressed_export_is_imported(url: str) -> None:
    data = gzip.compress(line())
    assert run("import", "-", "--store", url, stdin=data) == (0, b"", ["1 read, 1 stored, 0 already there, 0 skipped"])
    assert "is a damaged gzip file" in fail("import", "-", "--store", url, stdin=data[:-9])
    assert "is a damaged gzip file" in fail("import", "-", "--store", url, stdin=data[:10] + b"x" + data[11:])


# A person's data


def say(store: CommentStore, text: str, author: str = "", *, held: bool = False, **fields: str) -> Comment:
    new = NewComment.model_validate({"content_id": 1, "comment": text, "name": "Someone"} | fields)
    return store.add(new, held=held, by=Author(author))


def test_the_comments_of_an_address_are_exported_and_erased(store_url: str) -> None:
    with closing(open_store(store_url)) as store:
        author = "a" * 64
        mine = [
            say(store, "published", author, email="Carol@example.com"),
            say(store, "pending", email="carol@example.com", held=True),
        ]
        other = say(store, "by another", email="xcarol@example.com")
        approved = store.approve(1, say(store, "approved", author, held=True)["id"])
        assert approved
        assert store.is_trusted(author)
    status, exported, err = run("person", " carol@EXAMPLE.com", "--export", "--store", store_url)
    assert (status, err) == (0, ["2 exported"])
    assert sorted(map(orjson.loads, exported.splitlines()), key=itemgetter("id")) == mine
    assert run("person", "carol@example.com", "--erase", "--store", store_url) == (0, b"", ["2 erased"])
    with closing(open_store(store_url)) as store:
        assert list(store.scan()) == [other, approved]
        assert not store.is_trusted(author)
        assert store.count([1]) == {1: 2}
    assert run("person", "carol@example.com", "--erase", "--store", store_url)[2] == ["0 erased"]
    if store_url.startswith("sqlite"):
        assert b"arol@example.com" in Path(store_url.removeprefix("sqlite:///")).read_bytes()  # the other one
        assert b"Carol@example.com" not in Path(store_url.removeprefix("sqlite:///")).read_bytes()


def test_an_erasure_leaves_no_copy_in_the_file(url: str) -> None:
    """While SQLite fills pages with rows of different sizes, it leaves copies of some that `secure_delete` misses."""
    sizes, person = Random(5), "carol@example.com"
    comments = [
        NewComment(
            content_id=sizes.randint(1, 13),
            email=person if number % 3 else "bob@example.com",
            comment="x" * sizes.choice([20, 100, 300, 1000, 3000]),
        ).stored(id_at(now() - ticks(86_000 - number)), held=False)
        for number in range(400)
    ]
    fill(url, comments)
    assert run("person", person, "--erase", "--store", url)[2] == ["266 erased"]
    data = Path(url.removeprefix("sqlite:///")).read_bytes()
    assert data.count(b"bob@example.com") == 134
    assert person.encode() not in data


def test_the_comments_of_an_author_without_an_address_are_found_by_one_of_them(store_url: str) -> None:
    with closing(open_store(store_url)) as store:
        first, second = (say(store, text, "a" * 64) for text in ("one", "two"))
        other, anonymous, last = say(store, "other", "b" * 64), say(store, "anonymous"), say(store, "anonymous")
    status, exported, _ = run("person", "--comment", second["id"], "--export", "--store", store_url)
    assert status == 0
    assert [orjson.loads(line) for line in exported.splitlines()] == [first, second]
    assert run("person", "--comment", first["id"], "--erase", "--store", store_url)[2] == ["2 erased"]
    assert run("person", "--comment", last["id"], "--erase", "--store", store_url)[2] == ["1 erased"]
    assert "no comment has the id" in fail("person", "--comment", last["id"], "--erase", "--store", store_url)
    with closing(open_store(store_url)) as store:
        assert list(store.scan()) == [other, anonymous]


@pytest.mark.parametrize("arguments", [[], ["--erase"], ["a@b.c"], ["a@b.c", "--comment", "x", "--erase"]])
def test_person_needs_one_person_and_one_action(arguments: list[str]) -> None:
    assert "give either ADDRESS or --comment ID" in fail("person", *arguments, status=2)


def test_every_command_is_documented() -> None:
    documented = "".join((ROOT / "docs" / name).read_text() for name in ("moving.md", "embedding.md", "operations.md"))
    assert set(cli.commands) == set(re.findall(r"python -m comments ([a-z]+)", documented))
