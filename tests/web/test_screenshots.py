"""Screenshots for the README. UPDATE_SCREENSHOTS=1 regenerates them."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from comments.ids import TICKS_PER_MS, id_at
from comments.schemas import NewComment
from comments.stores import open_store
from tests.app.conftest import Server, serving
from tests.web.actions import ROOT, TOKEN, Thread, sign_in
from tests.web.conftest import NewPage

IMAGES = ROOT / "docs/images"
VIEWPORT = {"width": 800, "height": 400}
"""Lower than any page, so that no screenshot ends with empty space."""

COMMENTS = (
    ("alice@example.com", "first post!"),
    ("alice@example.com", "ok, now I am gonna say something more useful"),
    ("bob@example.com", "I agree"),
)
MESSAGES = (
    ("operator@example.com", "Tonight from 10 to 11 pm comments are read-only: we are moving to a larger disk."),
    ("operator@example.com", "Maintenance finished ten minutes early. Thank you for your patience."),
)
PENDING = (
    ("charlie@example.com", "Indeed, dear Bob, I believe so as well"),
    ("eve@example.com", "<b>Nah</b>, you both are wrong"),
)
REPLACE_WHAT_VARIES = """
for (const element of document.querySelectorAll("pre, dd, .lead")) {
  element.textContent = element.textContent
    .replaceAll(location.origin, "https://comments.example")
    .replace(/[0-9.]+ ms/, "0.1 ms")
    .replace(/^[0-9]+ [A-Z][a-z]+ 20[0-9]+, [0-9:]+ UTC$/, "24 November 2026, 08:00 UTC");
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("screenshots")
    store = open_store(f"sqlite:///{folder}/comments.db")
    minute = 1_795_512_600_000 // 60_000  # 24 November 2026, in the morning
    for content_id, written, held in ((1, COMMENTS, False), (9, MESSAGES, False), (1, PENDING, True)):
        for email, text in written:
            minute += 7
            tick = minute * 60_000 * TICKS_PER_MS
            new = NewComment(content_id=content_id, email=email, comment=text)
            store.restore([new.stored(id_at(tick), held=held)])
    store.close()
    settings = {"COMMENTS_MODERATOR_TOKEN": TOKEN, "COMMENTS_STATUS_THREAD": "9", "COMMENTS_COMMIT": "0123456789ab"}
    with serving(folder, settings) as started:
        yield started


def check_screenshot(page: Page, name: str) -> None:
    """Fail if the screenshot is missing; write it if asked to."""
    path = IMAGES / name
    if os.environ.get("UPDATE_SCREENSHOTS") == "1":
        page.evaluate(REPLACE_WHAT_VARIES)
        page.screenshot(path=path, full_page=True, animations="disabled", caret="hide")
    assert path.exists(), f"{path} is missing: run the tests with UPDATE_SCREENSHOTS=1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshot_of_a_thread(server: Server, new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme, viewport=VIEWPORT)
    page.goto(server.url)
    expect(Thread(page).items).to_have_count(len(COMMENTS))
    check_screenshot(page, f"thread-{scheme}.png")


def test_screenshot_of_the_status_page(server: Server, new_page: NewPage) -> None:
    page = new_page(viewport=VIEWPORT)
    page.goto(f"{server.url}/status")
    expect(page.get_by_role("listitem")).to_have_count(len(MESSAGES))
    check_screenshot(page, "status.png")


def test_screenshot_of_the_moderator_page(server: Server, new_page: NewPage) -> None:
    page = new_page(viewport=VIEWPORT)
    sign_in(page, server.url)
    expect(page.get_by_role("listitem")).to_have_count(len(PENDING))
    check_screenshot(page, "moderate.png")
