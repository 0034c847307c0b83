"""Everybody can read and write: by keyboard, with a screen reader, in light and dark, on a small screen."""

import pytest
from playwright.sync_api import expect

from tests.web.actions import TOKEN, Thread, listed, open_moderation, post
from tests.web.conftest import axe

LONG = "a-word-without-an-end-" * 20


@pytest.fixture
def server(serve):
    started = serve(COMMENTS_MODERATOR_TOKEN=TOKEN, COMMENTS_STATUS_THREAD="9")
    post(started.url, "first post!\n\nand more", email=f"{LONG[:60]}@{LONG[:150]}.example")
    post(started.url, LONG)
    post(started.url, "On Sunday the service moves to another region.", content_id=9, token=TOKEN)
    return started


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_thread_and_its_errors(server, new_page, scheme):
    page = new_page(color_scheme=scheme)
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.items).to_have_count(2)
    assert axe(page) == []
    thread.post("", email="alice")
    expect(thread.email).to_have_attribute("aria-invalid", "true")
    assert axe(page) == []
    thread.post("fine")
    expect(thread.says("Your comment is posted.")).to_be_visible()
    assert axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/status", "/moderate", "/docs"])
def test_axe_finds_nothing_in_our_other_pages(server, new_page, scheme, path):
    page = new_page(color_scheme=scheme)
    page.goto(server.url + path)
    assert axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_list_of_what_is_held(serve, new_page, scheme):
    server = serve(COMMENTS_MODERATION="on", COMMENTS_MODERATOR_TOKEN=TOKEN)
    post(server.url, "please")
    page = new_page(color_scheme=scheme)
    open_moderation(page, server)
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    assert axe(page) == []


def test_a_comment_is_posted_by_keyboard_alone(server, page):
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.items).to_have_count(2)
    for _ in range(20):
        page.keyboard.press("Tab")
        if thread.email.evaluate("(email) => email.getRootNode().activeElement === email"):
            break
    expect(thread.email).to_be_focused()
    expect(thread.email).to_have_css("outline-style", "solid")
    page.keyboard.type("bob@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type("without a mouse")
    page.keyboard.press("Tab")
    expect(thread.send).to_be_focused()
    page.keyboard.press("Enter")
    expect(thread.says("Your comment is posted.")).to_be_visible()
    expect(thread.send).to_be_focused()
    assert listed(server.url)[-1] == "without a mouse"


@pytest.mark.parametrize("path", ["/", "/status", "/moderate", "/docs"])
def test_nothing_is_wider_than_a_small_screen(server, new_page, path):
    page = new_page(viewport={"width": 320, "height": 640})
    page.goto(server.url + path)
    if path == "/":
        expect(Thread(page).items).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
