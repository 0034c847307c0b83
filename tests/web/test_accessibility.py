"""Everyone can use the pages: by keyboard, with a screen reader, in light and dark mode, on a small screen."""

import pytest
from playwright.sync_api import expect

from tests.app.conftest import Server
from tests.web.actions import TOKEN, Article, Thread, axe, post, sign_in
from tests.web.conftest import Embed, NewPage

LONG = "a-word-without-an-end-" * 20
both_schemes = pytest.mark.parametrize("scheme", ["light", "dark"])


@both_schemes
def test_a_thread_and_its_errors_are_accessible(embed: Embed, new_page: NewPage, scheme: str) -> None:
    page = new_page(color_scheme=scheme)
    article = embed(page=page)
    article.post("first post!\n\nand more", LONG)
    thread = article.open()
    expect(thread.items).to_have_count(2)
    assert axe(page) == []
    thread.post("", email="alice")
    expect(thread.email).to_have_attribute("aria-invalid", "true")
    assert axe(page) == []
    thread.post("fine")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    assert axe(page) == []


@both_schemes
@pytest.mark.parametrize("path", ["/", "/status", "/moderate", "/docs"])
def test_pages_are_accessible(server: Server, new_page: NewPage, scheme: str, path: str) -> None:
    post(server.url, "The service moves to another region on Sunday.", content_id=9, token=TOKEN)
    page = new_page(color_scheme=scheme)
    page.goto(server.url + path)
    expect(page.get_by_role("heading").first).to_be_visible()
    assert axe(page) == []


@both_schemes
def test_the_list_of_pending_comments_is_accessible(moderated: Server, new_page: NewPage, scheme: str) -> None:
    post(moderated.url, "please")
    page = new_page(color_scheme=scheme)
    sign_in(page, moderated.url)
    expect(page.get_by_role("button", name="Approve").first).to_be_visible()
    assert axe(page) == []


def test_a_comment_is_posted_by_keyboard(article: Article) -> None:
    keyboard = article.page.keyboard
    thread = article.open()
    expect(thread.status("No comments yet.")).to_be_visible()
    keyboard.press("Tab")
    expect(thread.email).to_be_focused()
    expect(thread.email).to_have_css("outline-style", "solid")
    keyboard.type("bob@example.com")
    keyboard.press("Tab")
    keyboard.type("without a mouse")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    expect(thread.send).to_be_focused()
    assert article.listed() == ["without a mouse"]


@pytest.mark.parametrize("path", ["/", "/status", "/moderate", "/docs"])
def test_pages_fit_on_a_small_screen(server: Server, new_page: NewPage, path: str) -> None:
    page = new_page(viewport={"width": 320, "height": 640})
    page.goto(server.url + path)
    if path == "/":
        post(server.url, LONG, email=f"{LONG[:60]}@{LONG[:150]}.example")
        page.reload()
        expect(Thread(page).items.first).to_be_visible()
    if path == "/docs":
        page.locator(".opblock-summary-control").first.click()
        expect(page.locator(".responses-table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
