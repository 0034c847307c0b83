"""A site moves between two stores without losing a comment."""

import json
import os
import subprocess

import pytest

from comments.transfer import progress
from tests.transfer.conftest import export, fail, fill, run, some_comments


@pytest.fixture
def site(tmp_path):
    """A store on one machine, and what is in it."""
    url = f"sqlite:///{tmp_path}/site.db"
    comments = some_comments(1_200)
    fill(url, comments)
    return url, comments


def lines(exported):
    return sorted(exported.splitlines())


def test_a_site_moves_to_another_store_and_back_byte_for_byte(site, store_url, other_url):
    url, comments = site
    before = export(url)
    assert sorted(map(json.dumps, comments)) == sorted(json.dumps(json.loads(line)) for line in before.splitlines())
    for source, target in ((url, store_url), (store_url, other_url)):
        status, out, err = run("import", "-", "--store", target, stdin=export(source))
        assert (status, out) == (0, b"")
        assert err.splitlines()[-1] == "1,200 imported, 0 already there"
    assert lines(export(store_url)) == lines(before)
    assert lines(export(other_url)) == lines(before)


def test_a_second_import_doubles_nothing(site, store_url, tmp_path):
    exported = tmp_path / "comments.jsonl"
    assert run("export", "--store", site[0], "--output", exported)[0] == 0
    first_part = b"".join(exported.read_bytes().splitlines(keepends=True)[:800])
    assert run("import", "-", "--store", store_url, stdin=first_part)[0] == 0
    for end in ("400 imported, 800 already there", "0 imported, 1,200 already there"):
        status, _, err = run("import", exported, "--store", store_url)
        assert status == 0
        assert err.splitlines()[-1] == end
    assert lines(export(store_url)) == lines(exported.read_bytes())


def test_the_default_store_is_the_one_of_the_service(site):
    status, out, _ = run("export", env={"COMMENTS_STORE": site[0]})
    assert status == 0
    assert out == export(site[0])


def test_how_far_it_came_is_on_stderr_and_comments_alone_on_stdout(site):
    status, out, err = run("export", "--store", site[0])
    assert status == 0
    assert len([json.loads(line) for line in out.splitlines()]) == 1_200
    assert err.startswith("exported 1,200 comments, ")


def test_a_terminal_shows_one_line_that_ends_as_the_result(site):
    terminal, stderr = os.openpty()
    status = run("export", "--store", site[0], stdout=subprocess.DEVNULL, stderr=stderr)[0]
    os.close(stderr)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert status == 0
    assert shown.splitlines()[-1].rpartition("\r")[2].removeprefix("\x1b[K").startswith("exported 1,200 comments, ")


def test_a_log_gets_a_whole_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0)
    shown = progress.Progress("exported")
    shown.add(1_000)
    shown.add(500)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[0] for line in lines] == [
        "exported 1,000 comments",
        "exported 1,500 comments",
    ]


def test_an_empty_store_is_an_empty_export(store_url, other_url):
    fill(store_url, [])
    assert export(store_url) == b""
    status, _, err = run("import", "-", "--store", other_url)
    assert status == 0
    assert "0 imported, 0 already there" in err


def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path):
    assert f"there is no store at {tmp_path}/typo.db" in fail("export", "--store", f"sqlite:///{tmp_path}/typo.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("dynamodb")
def test_a_table_that_is_not_there_is_named(tmp_path):
    assert "no-such-table" in fail("export", "--store", "dynamodb://no-such-table")
    line = json.dumps(some_comments(1)[0]).encode()
    assert "no-such-table" in fail("import", "-", "--store", "dynamodb://no-such-table", stdin=line)
    assert "no-such-table" in fail("export", "--store", "dynamodb://no-such-table", "--output", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "export | import"),
        (("export", "--store", "mysql://x"), "--store must be sqlite:///PATH or dynamodb://TABLE"),
        (("import", "-", "--store", "sqlite:////no/such/folder/x.db"), "--store: the folder /no/such/folder"),
        (("import", "/no/such/file"), "/no/such/file cannot be read"),
        (("import", "-", "--threads", "x.json"), "--threads goes with --from isso only"),
        (("import", "-", "--from", "isso"), "needs --threads MAPPING.json"),
        (("import", "x", "--from", "isso", "--threads", "x.json", "--skip-bad", "y"), "--skip-bad is for exports"),
        (("export", "--after", "x", "--output", "y"), "not allowed with"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(arguments, said, tmp_path):
    assert said in fail(*arguments, env={"COMMENTS_STORE": f"sqlite:///{tmp_path}/x.db"})
