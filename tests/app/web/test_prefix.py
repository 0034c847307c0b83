"""The service under a path of another site: by SCRIPT_NAME, or behind a proxy that removes the prefix."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect
from werkzeug import Response
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.serving import make_server

from tests.app.support import LINK, serving
from tests.app.web import actions
from tests.app.web.site import SETTINGS
from tests.app.web.test_docs import execute, expand
from tests.client import ask, post

PREFIX = "/blog/comments"


@pytest.fixture(scope="module", params=["SCRIPT_NAME", "proxy"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the service, without a slash at its end."""
    folder: Path = tmp_path_factory.mktemp("prefix")
    if request.param == "SCRIPT_NAME":
        with serving(folder, SETTINGS | {"SCRIPT_NAME": PREFIX}) as server:
            yield server.url
        return
    with serving(folder, SETTINGS) as server:
        targets: Any = {f"{PREFIX}/": {"target": server.url, "remove_prefix": True, "host": None}}
        proxy = make_server("127.0.0.1", 0, ProxyMiddleware(Response("another page"), targets), threaded=True)
        Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}{PREFIX}"
        proxy.shutdown()
        proxy.server_close()


def test_pages_and_their_scripts_work(url: str, page: Page) -> None:
    page.goto(f"{url}/")
    thread = actions.Thread(page)
    thread.post("under a prefix")
    expect(thread.items).to_have_count(1)
    expect(page.get_by_text(f"curl {url}/api/comment/list/1")).to_be_visible()
    pages = page.get_by_role("navigation", name="Pages")
    pages.get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Comments are available")).to_be_visible()
    pages.get_by_role("link", name="API").click()
    expect(execute(expand(page, "createComment"))).to_contain_text("SUCCESS")
    pages.get_by_role("link", name="Moderation").click()
    page.get_by_label("Moderator token").fill(actions.TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("No pending comments.")).to_be_visible()
    pages.get_by_role("link", name="Comments").click()
    expect(page).to_have_url(f"{url}/")


def test_link_and_location_lead_to_the_prefix(url: str) -> None:
    for text in ("one", "two"):
        post(url, text, content_id=2)
    new = f"{url}/api/comment/new"
    answer = ask(new, "POST", {"email": "a@example.com", "comment": "three", "content_id": 2})
    located = urljoin(new, answer.headers["Location"])
    assert located.startswith(f"{url}/")
    assert ask(located).body["comment"] == "three"
    first = f"{url}/api/comment/list/2?limit=2"
    found = LINK.search(ask(first).headers["Link"])
    assert found
    assert [comment["comment"] for comment in ask(urljoin(first, found[1])).body] == ["three"]
