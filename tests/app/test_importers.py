"""Comments move from exports of other systems; tests/app/data/imports has real ones."""

import gzip
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comments.app import create_app
from comments.canonical import thread_of
from comments.config import load_settings
from comments.stores import open_store
from tests.app.support import ROOT
from tests.app.test_cli import export, fail, run

SAMPLES = ROOT / "tests/app/data/imports"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/comments.db"


def sample(name: str, folder: Path) -> Path:
    """Copy a sample without its mistake: reports are written next to it, and some lack quotes on purpose."""
    path = folder / name.replace("/", "-")
    path.write_bytes((SAMPLES / name).read_bytes().replace(b"dsq:id=247937687/", b'dsq:id="247937687"/'))
    return path


def move(file: Path, url: str, *more: object) -> tuple[int, str]:
    status, out, err = run("import", file, "--store", url, *more)
    assert out == b""
    return status, err[0]


def stored(url: str) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in export(url).splitlines()), key=lambda comment: comment["id"])


def reported(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"{file}.report.jsonl").read_bytes().splitlines()[1:]]


COUNTS = {
    "isso/disqus.xml": (6, 4, "2 skipped: 1 deleted, 1 invalid"),
    "isso/wordpress.xml": (8, 8, "0 skipped"),
    "remark42/disqus.xml": (6, 3, "3 skipped: 2 invalid, 1 spam"),
    "remark42/disqus-deleted-post.xml": (6, 2, "4 skipped: 1 deleted, 2 invalid, 1 spam"),
    "remark42/disqus-deleted-thread.xml": (6, 1, "5 skipped: 3 in a deleted thread, 1 invalid, 1 spam"),
    "remark42/wordpress.xml": (4, 3, "1 skipped: 1 pingback"),
    "remark42/native-export.jsonl": (2, 2, "0 skipped"),
    "remark42/commento.json": (3, 3, "0 skipped"),
    "comentario/comentario-ok-single-v3.json": (1, 1, "0 skipped"),
}


@pytest.mark.parametrize("name", COUNTS)
def test_each_sample_is_imported_once_after_a_dry_run_that_stores_nothing(name: str, tmp_path: Path, url: str) -> None:
    file, (read, new, skipped) = sample(name, tmp_path), COUNTS[name]
    status = 3 if "invalid" in skipped else 0
    counts = f"{read} read, {new} stored, 0 already there, {skipped}"
    assert move(file, url, "--dry-run") == (status, f"dry run: {counts}")
    report = Path(f"{file}.report.jsonl")
    listed = report.read_bytes() if report.exists() else b""
    assert not list(tmp_path.glob("comments.db*"))
    assert move(file, url) == (status, counts)
    before = export(url)
    for dry_run in (["--dry-run"], []):
        again = f"{read} read, 0 stored, {new} already there, {skipped}"
        assert move(file, url, *dry_run) == (status, f"dry run: {again}" if dry_run else again)
    assert export(url) == before
    assert (report.read_bytes() if report.exists() else b"") == listed
    assert len(listed.splitlines()[1:]) == read - new


@pytest.mark.parametrize("name", COUNTS)
def test_readers_see_names_and_never_an_address(name: str, tmp_path: Path, url: str) -> None:
    move(sample(name, tmp_path), url)
    with closing(open_store(url)) as store:
        client = create_app(load_settings(store=url), store).test_client()
        published = [comment for comment in stored(url) if not comment.get("held")]
        for comment in published:
            for path in (f"/api/comment/list/{comment['content_id']}", f"/api/comment/list?page={comment['page']}"):
                response = client.get(path)
                assert response.status_code == 200
                assert comment["comment"] in [each["comment"] for each in response.json or []]
                assert all(each["name"] for each in response.json or [])
                assert "@" not in response.text


def test_disqus_pages_parents_and_texts(tmp_path: Path, url: str) -> None:
    file = sample("isso/disqus.xml", tmp_path)
    move(file, url)
    first, reply, other, orphan = stored(url)
    assert [each["page"] for each in (first, reply, other, orphan)] == ["/", "/", "/blog/2013/02/12/redacted", "/"]
    assert (reply["comment"], reply["parent"]) == ("Hello, World.", first["id"])
    # The parent was deleted in Disqus: readers learn that there was one.
    assert orphan["parent"] not in {each["id"] for each in stored(url)}
    assert [(each["record"]["id"], each["skipped"]) for each in reported(file)] == [("6", "invalid"), ("9", "deleted")]
    assert reported(file)[0]["errors"] == [{"field": "page", "message": "must be known, and the path or URL of a page"}]


def test_disqus_posts_without_an_id_or_a_time_are_reported(tmp_path: Path, url: str) -> None:
    file = sample("remark42/disqus.xml", tmp_path)
    move(file, url)
    texts = [each["comment"] for each in stored(url)]
    assert texts[0].endswith("lazy dog.\n\n[some link](https://https://radio-t.com)")
    assert "http://blogs.msdn.com/b/b8/archive/2011/08/29/improvements-in-windows-explorer.aspx" in texts[1]
    assert texts[2].count("\n\n") == 2
    assert not any("parent" in each for each in stored(url))
    reasons = [each["errors"][0]["field"] for each in reported(file) if each["skipped"] == "invalid"]
    assert reasons == ["id", "created"]


def test_wordpress_states_parents_and_ids_of_several_pages(tmp_path: Path, url: str) -> None:
    file = sample("isso/wordpress.xml", tmp_path)
    move(file, url)
    by_text = {(each["page"], each["comment"]): each for each in stored(url)}
    assert by_text["/2014/test", "Drölfter!"]["parent"] == by_text["/2014/test", "Zweiter."]["id"]
    assert by_text["/?p=4", "..."]["id"] != by_text["/2014/test", "..."]["id"]  # both are comment 11
    lines = "When you have a comment with multiple lines:\nWordPress exports it like this."
    assert by_text["/2014/test", lines]["name"] == "Multiline Author"
    file = sample("remark42/wordpress.xml", tmp_path)
    move(file, url)
    states = {each["name"]: each.get("held") for each in stored(url) if each["page"] == "/2010/07/do-you-rp"}
    assert states == {"SuperUser1": None, "SuperUser2": True, "SuperUser3": None}
    assert reported(file)[0]["record"]["author"].startswith("Wednesday Reading")


WXR = """<?xml version="1.0"?><rss xmlns:wp="http://wordpress.org/export/1.2/"><channel>
<item><link>https://example.com/post/</link><wp:status>{status}</wp:status><wp:post_password>{password}</wp:post_password>
<wp:comment><wp:comment_id>1</wp:comment_id><wp:comment_author>A</wp:comment_author>
<wp:comment_date_gmt>2020-01-01 00:00:00</wp:comment_date_gmt><wp:comment_approved>{approved}</wp:comment_approved>
<wp:comment_type>{kind}</wp:comment_type><wp:comment_content>text</wp:comment_content></wp:comment></item></channel></rss>"""


@pytest.mark.parametrize(
    ("fields", "skipped"),
    [
        ({"status": "private"}, "in a private post"),
        ({"password": "x"}, "in a protected post"),
        ({"kind": "order_note"}, "order_note"),
        ({"approved": "spam"}, "spam"),
        ({"approved": "trash"}, "deleted"),
    ],
)
def test_wordpress_comments_that_were_not_public_stay_so(
    fields: dict[str, str], skipped: str, tmp_path: Path, url: str
) -> None:
    file = tmp_path / "wordpress.xml"
    file.write_text(WXR.format(**{"status": "publish", "password": "", "approved": "1", "kind": ""} | fields))
    assert move(file, url) == (0, f"1 read, 0 stored, 0 already there, 1 skipped: 1 {skipped}")


def test_remark42_and_commento_keep_parents_and_names(tmp_path: Path, url: str) -> None:
    move(sample("remark42/native-export.jsonl", tmp_path), url)
    first, second = stored(url)
    assert (first["page"], first["comment"]) == ("/", "some text, [link](http://radio-t.com)")
    assert (second["page"], second["created_at"]) == ("/2", "2017-12-20T21:18:23.000Z")
    assert "parent" not in second  # the file does not contain it
    move(sample("remark42/commento.json", tmp_path), url)
    _, _, anonymous, parent, reply = stored(url)
    assert (anonymous["name"], parent["name"], parent["email"]) == ("Anonymous", "User5276", "somegreatmail@gmail.com")
    assert reply["parent"] == parent["id"]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"isPending": True, "isApproved": False}, "1 stored, 0 already there, 0 skipped"),
        ({"isApproved": False}, "0 stored, 0 already there, 1 skipped: 1 rejected"),
        ({"isDeleted": True}, "0 stored, 0 already there, 1 skipped: 1 deleted"),
    ],
)
def test_comentario_states(changes: dict[str, bool], outcome: str, tmp_path: Path, url: str) -> None:
    data = json.loads((SAMPLES / "comentario/comentario-ok-single-v3.json").read_bytes())
    data["comments"][0] |= changes
    file = tmp_path / "comentario.json.gz"
    file.write_bytes(gzip.compress(json.dumps(data).encode()))
    assert move(file, url) == (0, f"1 read, {outcome}")
    assert all(comment["held"] for comment in stored(url))


def test_pages_get_a_host_or_another_thread(tmp_path: Path, url: str) -> None:
    file, mapping = sample("isso/disqus.xml", tmp_path), tmp_path / "threads.json"
    move(file, url, "--host", "Blog.example:8080")
    assert {each["page"] for each in stored(url)} == {
        "//blog.example:8080/",
        "//blog.example:8080/blog/2013/02/12/redacted",
    }
    assert "--host must be a host such as" in fail("import", file, "--host", "https://x", "--store", url, status=2)
    assert "wrote a draft" in fail("import", file, "--threads", mapping, "--store", url)
    draft = json.loads(mapping.read_bytes())
    assert draft["http://example.org/"] == "/"
    mapping.write_text(json.dumps(draft | {"http://example.org/": 7}))
    move(file, url, "--threads", mapping)
    assert {each["content_id"] for each in stored(url) if "page" not in each} == {7}
    assert thread_of("/blog/2013/02/12/redacted") in {each["content_id"] for each in stored(url)}


def test_an_approved_comment_is_not_imported_again(tmp_path: Path, store_url: str) -> None:
    file = sample("remark42/wordpress.xml", tmp_path)
    move(file, store_url)
    with closing(open_store(store_url)) as store:
        (waiting,) = store.list_held(limit=10).comments
        approved = store.approve(waiting["content_id"], waiting["id"])
    assert approved
    for dry_run in (["--dry-run"], []):
        assert move(file, store_url, *dry_run)[1].endswith("4 read, 0 stored, 3 already there, 1 skipped: 1 pingback")
    assert [each["id"] for each in stored(store_url) if each["name"] == "SuperUser2"] == [approved["id"]]


BOMB = '<!DOCTYPE rss [<!ENTITY a0 "{}">{}]><rss>&a9;</rss>'.format(
    "x" * 100, "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (SAMPLES / "remark42/disqus.xml").read_bytes(),
            "line 147, column 24: not well-formed (invalid token); nothing was imported. Download",
        ),
        (b"\n\n<rss><channel>\n<item></rss>", "line 4, column 9: mismatched tag"),
        (BOMB.encode(), "line 1, column"),
        (b'<rss encoding="\xff">', "line 1, column"),
        (b'{"version":1,"users":[]}\n{"id":"1",', "is not valid JSON: EOF while parsing a value at line 2"),
        (b'{"version":1,"users":[]}\n[]', "line 2 must be a JSON object"),
        (b'{\n"version": 1,\n"comments": [}', "is not valid JSON: expected value at line 3 column 14"),
        (b'{"version":1,"comments":{"a":1},"commenters":[]}', "is not an export of Commento or Comentario"),
        (b'{"version":3,"comments":[]}', "is not an export of Commento or Comentario: KeyError('commenters')"),
    ],
)
def test_a_broken_file_imports_nothing_and_names_the_position(
    data: bytes, message: str, tmp_path: Path, url: str
) -> None:
    file = tmp_path / "broken"
    file.write_bytes(data)
    assert message in fail("import", file, "--store", url)
    assert list(tmp_path.iterdir()) == [file]


def test_a_byte_order_mark_is_ignored(tmp_path: Path, url: str) -> None:
    file = tmp_path / "export"
    for name in ("isso/wordpress.xml", "remark42/commento.json", "remark42/native-export.jsonl"):
        file.write_bytes(b"\xef\xbb\xbf" + (SAMPLES / name).read_bytes())
        assert move(file, url)[0] == 0
    assert len(stored(url)) == 13
    assert "the root element must be disqus, not rss" in fail(
        "import", SAMPLES / "isso/wordpress.xml", "--from", "disqus", "--store", url
    )
