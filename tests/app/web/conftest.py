"""A browser, servers, and another site."""

from collections.abc import Iterator
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page
from werkzeug import Response
from werkzeug.serving import make_server

from tests.app.support import Server, serving
from tests.app.web.actions import Article
from tests.app.web.site import HERE, SETTINGS, WATCH, Publish, content_ids, interrupted, record_interruption


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run a test again if it fails after such an interruption, but for no other reason."""
    for item in items:
        if item.path.is_relative_to(HERE) and not config.getoption("usepdb"):  # pytest-rerunfailures rejects both
            item.add_marker(pytest.mark.flaky(reruns=2, condition=lambda: bool(interrupted)))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page in its own browser context."""
    problems: list[str] = []
    context = browser.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 800, "height": 900})
    context.set_default_timeout(10_000)
    context.expose_function("report", lambda problem: problems.append(problem))  # noqa: PLW0108  # not a built-in
    context.add_init_script(WATCH)
    interrupted.clear()
    context.on("requestfailed", record_interruption)
    context.on("weberror", lambda error: problems.append(str(error.error)))
    yield context.new_page()
    context.close()
    assert not problems


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share; each uses another thread."""
    more = {"COMMENTS_STATUS_THREAD": "9", "COMMENTS_COMMIT": "0123456789ab"}
    with serving(tmp_path_factory.mktemp("server"), SETTINGS | more) as started:
        yield started


@pytest.fixture(scope="session")
def moderated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that holds comments for approval."""
    with serving(tmp_path_factory.mktemp("moderated"), SETTINGS | {"COMMENTS_HOLD": "all"}) as started:
        yield started


@pytest.fixture(scope="session")
def publish() -> Iterator[Publish]:
    """Another site. A real server: Chromium blocks pages of unknown address from loading scripts from 127.0.0.1."""
    site = make_server("127.0.0.1", 0, Response(), threaded=True)

    def publish(html: str, headers: dict[str, str]) -> str:
        site.app = Response(html, headers=headers, content_type="text/html; charset=utf-8")
        return f"http://localhost:{site.server_port}"

    Thread(target=site.serve_forever, daemon=True).start()
    yield publish
    site.shutdown()
    site.server_close()


@pytest.fixture
def article(page: Page, server: Server, publish: Publish) -> Article:
    """An article of another site with an empty thread."""
    return Article(page, server.url, next(content_ids), publish)
