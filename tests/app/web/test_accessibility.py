"""Everyone can use the pages: by keyboard, with a screen reader, in light and dark mode, on a small screen."""

import pytest
from playwright.sync_api import Page, expect

from tests.app.support import Server
from tests.app.web.actions import TOKEN, Article, Thread, axe, sign_in
from tests.client import post

LONG = "a-word-without-an-end-" * 20


def expect_accessible(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == [], scheme


def test_a_thread_and_its_errors_are_accessible(article: Article) -> None:
    article.post("first post!\n\nand more", LONG)
    thread = article.open()
    expect(thread.items).to_have_count(2)
    expect_accessible(article.page)
    thread.post("", email="alice")
    expect(thread.email).to_have_attribute("aria-invalid", "true")
    expect_accessible(article.page)
    thread.post("fine")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    expect_accessible(article.page)


def test_the_list_of_pending_comments_is_accessible(moderated: Server, page: Page) -> None:
    post(moderated.url, "please")
    sign_in(page, moderated.url)
    expect(page.get_by_role("button", name="Approve").first).to_be_visible()
    expect_accessible(page)


@pytest.mark.parametrize("path", ["/", "/status", "/moderate", "/docs"])
def test_pages_are_accessible_and_fit_on_a_small_screen(server: Server, page: Page, path: str) -> None:
    post(server.url, "The service moves to another region on Sunday.", content_id=9, token=TOKEN)
    post(server.url, LONG, email=f"{LONG[:60]}@{LONG[:150]}.example")
    page.goto(server.url + path)
    expect(page.get_by_role("heading").first).to_be_visible()
    if path == "/":
        expect(Thread(page).items.first).to_be_visible()
    if path == "/docs":
        page.locator(".opblock-summary-control").first.click()
        expect(page.locator(".responses-table")).to_be_visible()
    expect_accessible(page)
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_comment_is_posted_by_keyboard(article: Article) -> None:
    keyboard = article.page.keyboard
    thread = article.open()
    expect(thread.status("No comments yet.")).to_be_visible()
    keyboard.press("Tab")
    expect(thread.name).to_be_focused()
    expect(thread.name).to_have_css("outline-style", "solid")
    keyboard.type("Bob")
    keyboard.press("Tab")
    keyboard.type("bob@example.com")
    keyboard.press("Tab")
    keyboard.type("without a mouse")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    expect(thread.send).to_be_focused()
    assert article.listed() == ["without a mouse"]
