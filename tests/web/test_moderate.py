"""The moderator's page: the token opens it, and nothing of it stays."""

import pytest
from playwright.sync_api import expect

from tests.web.actions import TOKEN, call, listed, open_moderation, post


@pytest.fixture
def server(serve):
    return serve(COMMENTS_MODERATION="on", COMMENTS_MODERATOR_TOKEN=TOKEN)


def test_what_is_held_is_approved_or_deleted(server, page):
    for text in ("good", "<b>bad</b>", "late"):
        post(server.url, text)
    open_moderation(page, server)
    items = page.get_by_role("listitem")
    expect(items).to_have_count(3)
    items.filter(has_text="good").get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved: it is listed now.")).to_be_visible()
    items.filter(has_text="<b>bad</b>").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted for good.")).to_be_visible()
    expect(items).to_have_count(1)
    expect(items.first).to_be_focused()
    assert listed(server.url) == ["good"]
    _, held = call(f"{server.url}/api/moderation/held", token=TOKEN)
    assert [each["comment"] for each in held] == ["late"]


def test_a_long_queue_is_read_page_by_page(server, page):
    for number in range(53):
        post(server.url, f"comment {number}")
    open_moderation(page, server)
    items = page.get_by_role("listitem")
    expect(items).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(items).to_have_count(53)
    expect(items.nth(50)).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_a_listed_comment_is_found_by_its_thread_and_deleted(serve, page):
    server = serve(COMMENTS_MODERATOR_TOKEN=TOKEN)
    post(server.url, "to go", content_id=7)
    post(server.url, "to stay", content_id=7)
    open_moderation(page, server)
    expect(page.get_by_text("Nothing waits for approval.")).to_be_visible()
    page.get_by_label("Listed comments of article").fill("7")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="Listed on article 7")).to_be_visible()
    page.get_by_role("listitem").filter(has_text="to go").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("listitem")).to_have_count(1)
    assert listed(server.url, 7) == ["to stay"]


def test_a_wrong_token_opens_nothing_and_is_forgotten(server, page):
    post(server.url, "secret")
    open_moderation(page, server, token="not-the-moderators-token")
    expect(page.get_by_text("This token is not the moderator's.")).to_be_visible()
    expect(page.get_by_label("The moderator's token")).to_be_focused()
    expect(page.get_by_text("secret")).to_have_count(0)
    assert page.evaluate("Object.keys(sessionStorage)") == []


def test_the_token_lasts_a_reload_and_no_longer_than_asked(server, page):
    post(server.url, "please")
    open_moderation(page, server)
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="Forget the token").click()
    expect(page.get_by_text("The token is forgotten.")).to_be_visible()
    expect(page.get_by_text("please")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("button", name="Open")).to_be_visible()
    assert page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]") == [[], [], ""]


def test_a_failing_service_says_so_and_keeps_the_comment(server, page):
    post(server.url, "please")
    open_moderation(page, server)
    page.route("**/approve", lambda route: route.abort())
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(1)
