"""The README's pictures are made here: UPDATE_SCREENSHOTS=1 writes them, as alike each time as a browser allows."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from comments.ids import TICKS, created_at, id_at
from comments.store import open_store
from tests.web.actions import TOKEN, Thread, open_moderation
from tests.web.conftest import ROOT

IMAGES = ROOT / "docs/images"
VIEWPORT = {"width": 800, "height": 400}
"""Lower than any page, so that no picture ends with empty space."""

COMMENTS = (
    ("alice@example.com", "first post!"),
    ("alice@example.com", "ok, now I am gonna say something more useful"),
    ("bob@example.com", "I agree"),
)
MESSAGES = (
    (
        "operator@example.com",
        "Tonight from ten to eleven comments can be read and not written: we move to a larger disk.",
    ),
    ("operator@example.com", "Done, ten minutes early. Thank you for waiting."),
)
HELD = (
    ("charlie@example.com", "Indeed, dear Bob, I believe so as well"),
    ("eve@example.com", "<b>Nah</b>, you both are wrong"),
)
# What differs from run to run, and what stands there instead.
CONSTANT = """
for (const element of document.querySelectorAll("pre, dd, .lead")) {
  element.textContent = element.textContent
    .replaceAll(location.origin, "https://comments.example")
    .replace(/[0-9.]+ ms/, "0.1 ms")
    .replace(/^[0-9]+ [A-Z][a-z]+ 20[0-9]+, [0-9:]+ UTC$/, "24 November 2026, 08:00 UTC");
}
"""


@pytest.fixture
def server(serve, tmp_path):
    """Start a service whose comments have times of their own."""
    store = open_store(f"sqlite:///{tmp_path}/comments.db")
    minute = 1_795_512_600_000 // 60_000  # 24 November 2026, in the morning
    for content_id, written, held in ((1, COMMENTS, False), (9, MESSAGES, False), (1, HELD, True)):
        for email, comment in written:
            minute += 7
            tick = minute * 60_000 * TICKS
            kept = {"id": id_at(tick), "content_id": content_id, "email": email, "comment": comment}
            store.restore([kept | {"created_at": created_at(tick)} | ({"held": True} if held else {})])
    store.close()
    return serve(COMMENTS_MODERATOR_TOKEN=TOKEN, COMMENTS_STATUS_THREAD="9", COMMENTS_COMMIT="0123456789ab")


def picture(page: Page, name: str) -> None:
    """Write the picture when asked to; it has to be there in any case, and be one."""
    path: Path = IMAGES / name
    page.evaluate(CONSTANT)
    taken = page.screenshot(full_page=True, animations="disabled", caret="hide")
    if os.environ.get("UPDATE_SCREENSHOTS") == "1":
        IMAGES.mkdir(exist_ok=True)
        path.write_bytes(taken)
    assert path.exists(), f"{path} is missing: run the tests with UPDATE_SCREENSHOTS=1"
    assert path.read_bytes()[16:20] == taken[16:20], f"{name} has another width: run with UPDATE_SCREENSHOTS=1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_thread_in_light_and_dark(server, new_page, scheme):
    page = new_page(color_scheme=scheme, viewport=VIEWPORT)
    page.goto(server.url)
    expect(Thread(page).items).to_have_count(len(COMMENTS))
    picture(page, f"thread-{scheme}.png")


def test_the_status_page(server, new_page):
    page = new_page(viewport=VIEWPORT)
    page.goto(f"{server.url}/status")
    picture(page, "status.png")


def test_the_moderators_page(server, new_page):
    page = new_page(viewport=VIEWPORT)
    open_moderation(page, server)
    expect(page.get_by_role("listitem")).to_have_count(len(HELD))
    picture(page, "moderate.png")
