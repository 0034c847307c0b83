"""A real browser in front of a real server. What breaks a page's security policy fails the test that did it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.app.conftest import serve  # noqa: F401  # the fixture that starts gunicorn

ROOT = Path(__file__).resolve().parents[2]
WATCH = """
addEventListener("securitypolicyviolation", (event) => report(`${event.violatedDirective}: ${event.blockedURI}`));
window.alert = () => report("a comment's markup ran");
"""


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages, each in a browser of its own; no violation and no error of a script may happen in any of them."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_page(**options: Any) -> Page:
        settings = {"locale": "en-GB", "timezone_id": "UTC", "viewport": {"width": 800, "height": 900}}
        context = browser.new_context(**(settings | options))
        context.set_default_timeout(10_000)
        context.expose_function("report", lambda what: wrong.append(what))  # noqa: PLW0108  # it cannot mark a built-in
        context.add_init_script(WATCH)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


@contextmanager
def site(html: str, headers: dict[str, str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *arguments: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        # Another site than 127.0.0.1, not just another origin.
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def host_site() -> Iterator[Callable[..., str]]:
    """Serve one page at an origin of its own, as the site that embeds a thread does."""
    with ExitStack() as sites:

        def start(html: str, **headers: str) -> str:
            return sites.enter_context(site(html, {name.replace("_", "-"): value for name, value in headers.items()}))

        yield start


def axe(page: Page) -> list[str]:
    """Return what axe finds wrong, each with the elements that it found it in."""
    page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found["violations"]]
