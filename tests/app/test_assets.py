"""What browsers are given: small, kept as long as it may be, and held to a strict policy."""

import re
import tomllib

import pytest

from comments import create_app
from comments.settings import Settings
from comments.store import open_store
from comments.web.runtime import VERSION
from tests.app.conftest import ROOT

TOKEN = "a-token-for-tests-only"


@pytest.fixture
def client(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/comments.db")
    yield create_app(Settings(moderator_token=TOKEN), store).test_client()
    store.close()


def test_the_script_is_small_readable_and_for_every_site(client):
    answer = client.get("/embed.js")
    assert len(answer.data) <= 10_000
    assert answer.data.startswith(b"/*\n * A thread of comments in any page")
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers


def test_the_script_is_kept_for_minutes_and_asked_for_again_by_its_tag(client):
    answer = client.get("/embed.js")
    assert "max-age=300" in answer.headers["Cache-Control"]
    again = client.get("/embed.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_pages_files_are_kept_for_ever_under_the_address_of_their_content(client):
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
    assert len(files) == 3
    for file in files:
        assert client.get(file).headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_file_of_another_version_is_answered_and_not_kept(client):
    """While a deployment runs, an old task is asked for what a new task's page names."""
    answer = client.get("/static/site.css?v=0123456789abcdef")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["missing.css", "..%2fassets.py", "page.html", "%2e%2e"])
def test_no_other_file_is_reachable(client, name):
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.json["status"] == "NOT-FOUND"


@pytest.mark.parametrize("path", ["/", "/status", "/moderate", "/docs"])
def test_every_page_is_held_to_a_strict_policy(client, path):
    answer = client.get(path)
    assert answer.content_type == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<style|style=|<script(?![^>]*src=)| on\w+=", answer.text)


def test_without_a_token_there_is_no_moderators_page(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/other.db")
    client = create_app(Settings(), store).test_client()
    answer = client.get("/moderate")
    assert (answer.status_code, answer.json["status"]) == (404, "NOT-FOUND")
    assert "/moderate" not in client.get("/").text
    store.close()


def test_the_version_is_the_projects():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
