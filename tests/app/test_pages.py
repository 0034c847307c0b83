"""Pages and static files: caching, content security policy, and everything served from this service."""

import gzip
import json
import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from comments.http.pages import STATIC
from comments.http.status import VERSION
from comments.stores import CommentStore
from tests.app.support import ROOT, TOKEN, client_of


@pytest.fixture
def client(sqlite: CommentStore) -> FlaskClient:
    return client_of(sqlite, moderator_token=TOKEN)


def get(client: FlaskClient, path: str, *, etag: str = "") -> TestResponse:
    """Buffered, so that the files that Flask streams are closed."""
    return client.get(path, headers={"If-None-Match": etag} if etag else {}, buffered=True)


def test_every_site_can_load_embed_js_and_browsers_cache_it_for_minutes(client: FlaskClient) -> None:
    response = get(client, "/embed.js")
    assert (response.status_code, response.content_type) == (200, "text/javascript; charset=utf-8")
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "max-age=300" in response.headers["Cache-Control"]


def test_embed_js_is_sent_compressed_to_clients_that_accept_it(client: FlaskClient) -> None:
    plain = get(client, "/embed.js")
    compressed = client.get("/embed.js", headers={"Accept-Encoding": "gzip, br"})
    assert (plain.headers.get("Content-Encoding"), compressed.headers["Content-Encoding"]) == (None, "gzip")
    assert gzip.decompress(compressed.data) == plain.data
    assert len(compressed.data) <= 7_500
    assert client.get("/embed.js", headers={"Accept-Encoding": "gzip;q=0"}).data == plain.data
    assert plain.headers["ETag"] != compressed.headers["ETag"]
    for response in (plain, compressed):
        assert response.headers["Vary"] == "Accept-Encoding"
    headers = {"Accept-Encoding": "gzip", "If-None-Match": compressed.headers["ETag"]}
    again = client.get("/embed.js", headers=headers)
    assert (again.status_code, again.data, again.headers["Vary"]) == (304, b"", "Accept-Encoding")


def test_translations_have_every_text_of_the_widget(client: FlaskClient) -> None:
    english = re.search(r"const english = \{(.*?)\};", get(client, "/embed.js").text, re.DOTALL)
    assert english
    texts = set(re.findall(r'(?:^|, )"?([\w-]+)"?: "', english[1], re.MULTILINE))
    translations = sorted((STATIC / "embed").glob("*.json"))
    assert [each.stem for each in translations] == ["de", "es", "fr", "pt"]
    keys = set()
    for each in translations:
        response = get(client, f"/embed/{each.name}")
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        translated = json.loads(response.data)
        assert translated["lang"] == each.stem
        assert texts <= translated.keys()
        keys.add(frozenset(translated))
    assert len(keys) == 1
    assert get(client, "/embed/ja.json").status_code == 404


@pytest.mark.parametrize("path", ["/static/missing.css", "/static/..%2fpages.py", "/docs/..%2f__init__.py"])
def test_no_other_file_is_reachable(client: FlaskClient, path: str) -> None:
    response = get(client, path)
    assert (response.status_code, response.get_json()["status"]) == (404, "NOT-FOUND")


@pytest.mark.parametrize("path", ["/", "/status", "/moderate", "/docs"])
def test_every_page_has_a_strict_policy_and_loads_nothing_from_other_hosts(client: FlaskClient, path: str) -> None:
    response = get(client, path)
    assert response.content_type == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<style|style=|<script(?![^>]*src=)| on\w+=", response.text)
    for url in re.findall(r'<(?:script|link|img)\b[^>]*(?:href|src)="([^"]*)"', response.text):
        assert re.match(r"[a-z]+[/.]", url)  # relative, as a proxy may serve the pages under a prefix
        assert get(client, f"/{url}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/embed.js", "/static/site.css", "/docs/swagger-ui.css"])
def test_an_unchanged_page_or_file_is_not_sent_again(client: FlaskClient, path: str) -> None:
    first = get(client, path)
    assert "no-cache" in first.headers["Cache-Control"] or path == "/embed.js"
    again = get(client, path, etag=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")


def test_the_latest_version_of_the_changelog_is_this_one() -> None:
    assert re.findall(r"^## (\d\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == VERSION
