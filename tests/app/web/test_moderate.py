"""The moderator page."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.app.support import Server, wait_until
from tests.app.web.actions import TOKEN, axe, sign_in
from tests.client import ask, listed, post


@pytest.fixture
def url(moderated: Server) -> str:
    """The URL of a server without pending comments."""
    for each in ask(f"{moderated.url}/api/moderation/held", token=TOKEN).body:
        ask(f"{moderated.url}/api/moderation/{each['content_id']}/{each['id']}", "DELETE", token=TOKEN)
    return moderated.url


def test_pending_comments_stay_until_they_are_approved_or_deleted(url: str, page: Page) -> None:
    for text in ("good", "<b>bad</b>", "late"):
        post(url, text, content_id=5)
    sign_in(page, url)
    items = page.get_by_role("listitem")
    expect(items).to_have_count(3)
    expect(page.get_by_role("heading", name="Pending comments")).to_be_focused()
    page.route("**/approve", lambda route: route.abort(), times=1)
    approve = items.filter(has_text="good").get_by_role("button", name="Approve")
    approve.click()
    expect(page.get_by_text("The service is unreachable.")).to_be_visible()
    approve.click()
    expect(page.get_by_text("The comment was approved.")).to_be_visible()
    items.filter(has_text="<b>bad</b>").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The comment was deleted.")).to_be_visible()
    assert listed(url, 5) == ["good"]
    page.reload()  # which sends the deletion, perhaps after the new page has read the list
    wait_until(lambda: len(ask(f"{url}/api/moderation/held", token=TOKEN).body) == 1)
    page.reload()
    expect(items).to_have_count(1)
    expect(items).to_contain_text("late")
    (late,) = ask(f"{url}/api/moderation/held", token=TOKEN).body
    ask(f"{url}/api/moderation/5/{late['id']}/approve", "POST", token=TOKEN)  # another moderator
    items.filter(has_text="late").get_by_role("button", name="Approve").click()
    expect(page.get_by_text("The comment was approved.")).to_be_visible()
    expect(items).to_have_count(0)


def test_what_the_moderator_has_not_read_is_not_approved(url: str, page: Page) -> None:
    body, author = {"name": "Eve", "comment": "harmless", "content_id": 13}, "t" * 22
    pending = ask(f"{url}/api/comment/new", "POST", body, Author_Token=author).body
    sign_in(page, url)
    item = page.get_by_role("listitem")
    expect(item).to_contain_text("harmless")
    ask(f"{url}/api/comment/13/{pending['id']}", "PATCH", {"comment": "spam"}, Author_Token=author)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Its author changed the comment: read it again.")).to_be_visible()
    expect(item).to_contain_text("spam")
    expect(item).to_be_focused()
    assert listed(url, 13) == []
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("The comment was approved.")).to_be_visible()
    assert listed(url, 13) == ["spam"]


def test_many_pending_comments_load_page_by_page(url: str, page: Page) -> None:
    for number in range(53):
        post(url, f"comment {number}")
    sign_in(page, url)
    items = page.get_by_role("listitem")
    expect(items).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(items).to_have_count(53)
    expect(items.nth(50)).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_moderators_see_name_address_and_page(url: str, page: Page) -> None:
    post(url, "hello", name="Zoë", email="zoe@example.com", page="/posts/hello")
    sign_in(page, url)
    item = page.get_by_role("listitem").filter(has_text="hello")
    for text in ("Zoë", "zoe@example.com", "/posts/hello"):
        expect(item).to_contain_text(text)
    item.get_by_role("button", name="Approve the comment by Zoë").click()
    for wanted in ("/posts/nothing", "https://blog.example/posts/nothing"):
        page.get_by_label("Thread, page or text").fill(wanted)
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_text("No comments.")).to_be_visible()
    page.get_by_label("Thread, page or text").fill("https://blog.example/posts/hello/#comments")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="Comments on /posts/hello/")).to_be_visible()
    expect(page.get_by_role("listitem")).to_contain_text("hello")
    page.get_by_role("button", name="Delete the comment by Zoë").click()
    expect(page.get_by_text("The comment was deleted.")).to_be_visible()
    post(url, "on a WordPress page", page="/?p=12", token=TOKEN)
    page.get_by_label("Thread, page or text").fill("https://blog.example/?p=12")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("listitem")).to_contain_text("on a WordPress page")


def test_a_deletion_can_be_undone_for_eight_seconds(url: str, page: Page) -> None:
    for text in ("to keep", "to delete", "to leave"):
        post(url, text, content_id=7, token=TOKEN)
    page.clock.install()
    sign_in(page, url)
    page.get_by_label("Thread, page or text").fill("7")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="Comments in thread 7")).to_be_visible()
    items = page.get_by_role("listitem")
    items.filter(has_text="to keep").get_by_role("button", name="Delete").click()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    page.clock.run_for(7_000)
    undo.click()
    expect(items.filter(has_text="to keep")).to_be_focused()
    items.filter(has_text="to delete").get_by_role("button", name="Delete").click()
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.clock.run_for(8_000)
    expect(items).to_have_count(2)
    assert listed(url, 7) == ["to keep", "to leave"]
    items.filter(has_text="to leave").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert listed(url, 7) == ["to keep"]


def test_a_deletion_that_fails_brings_the_comment_back(url: str, page: Page) -> None:
    post(url, "stays", content_id=12)
    page.clock.install()
    sign_in(page, url)
    page.route("**/api/moderation/12/*", lambda route: route.abort())
    page.get_by_role("button", name="Delete").click()
    page.clock.run_for(8_000)
    expect(page.get_by_text("The service is unreachable.")).to_be_visible()
    expect(page.get_by_role("listitem")).to_contain_text("stays")
    for leave in ("Newest", "Sign out"):
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("The service is unreachable.")).to_be_hidden()
        page.get_by_role("button", name=leave).click()
        expect(page.get_by_text("The service is unreachable.")).to_be_visible()
        expect(page.get_by_role("listitem")).to_contain_text("stays")


def test_the_newest_comments_of_all_threads_can_be_searched(url: str, page: Page) -> None:
    post(url, "in thread 13", content_id=13, email="bob@example.com", token=TOKEN)
    sign_in(page, url)
    expect(page.get_by_text("No pending comments.")).to_be_visible()
    expect(page.get_by_role("heading", name="Newest comments")).to_be_visible()
    expect(page.get_by_role("listitem").first).to_contain_text("in thread 13")
    post(url, "pending in thread 14", content_id=14)
    page.get_by_role("button", name="Newest").click()
    newest = page.get_by_role("listitem").first
    for text in ("pending in thread 14", "alice@example.com", "thread 14", "pending"):
        expect(newest).to_contain_text(text)
    page.get_by_label("Thread, page or text").fill("BOB@")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("listitem").first).to_contain_text("in thread 13")
    expect(page.get_by_text("pending in thread 14")).to_have_count(0)


def test_a_moderator_replies(url: str, page: Page) -> None:
    for number in range(20):
        post(url, f"a question {number}", content_id=15, token=TOKEN)
    sign_in(page, url)
    reply = page.get_by_role("listitem").first.get_by_role("button", name="Reply")
    reply.click()
    page.get_by_role("button", name="Cancel").click()
    expect(reply).to_be_focused()
    reply.click()
    expect(page.get_by_label("Reply", exact=True)).to_be_focused()
    assert axe(page) == []
    page.keyboard.type("an answer whose response is lost")
    page.get_by_label("Name").fill("The editors")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/comment/new", lose, times=1)
    page.get_by_role("button", name="Publish reply").click()
    expect(page.get_by_text("The service is unreachable.")).to_be_visible()
    page.get_by_label("Reply", exact=True).fill("an answer")
    page.get_by_role("button", name="Publish reply").click()
    expect(page.get_by_text("Your reply was published.")).to_be_in_viewport()
    *_, first, _, answer = ask(f"{url}/api/comment/list/15").body
    assert answer.items() >= {
        "comment": "an answer", "name": "The editors", "moderator": True, "parent": first["id"]
    }.items()  # fmt: skip


def test_the_link_of_a_comment_shows_it_and_changes_nothing(url: str, page: Page) -> None:
    post(url, "linked", content_id=16)
    post(url, "another", content_id=16)
    (linked, _) = ask(f"{url}/api/moderation/held", token=TOKEN).body
    page.goto(f"{url}/moderate#16/{linked['id']}")
    page.get_by_label("Moderator token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    items = page.get_by_role("listitem")
    expect(items).to_have_count(1)
    expect(items).to_contain_text("linked")
    assert len(ask(f"{url}/api/moderation/held", token=TOKEN).body) == 2
    items.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("The comment was approved.")).to_be_visible()
    assert listed(url, 16) == ["linked"]
    page.get_by_role("button", name="Pending").click()
    page.get_by_role("link").filter(has=page.locator("time")).click()
    expect(page.get_by_role("heading", name="One comment")).to_be_visible()
    expect(items).to_contain_text("another")


def test_only_the_right_token_is_kept_until_the_moderator_signs_out(url: str, page: Page) -> None:
    post(url, "please")
    sign_in(page, url, token="not-the-moderator-token")
    expect(page.get_by_text("The token is wrong.")).to_be_visible()
    expect(page.get_by_label("Moderator token")).to_be_focused()
    expect(page.get_by_text("please")).to_have_count(0)
    assert page.evaluate("Object.keys(sessionStorage)") == []
    sign_in(page, url)
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    expect(page.get_by_text("please")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]") == [[], [], ""]


def test_a_second_click_sends_nothing_and_a_late_response_is_not_shown(url: str, page: Page) -> None:
    late: list[Route] = []

    def delay(route: Route) -> None:
        late.append(route)

    for text in ("first", "second"):
        post(url, text, content_id=8)
    sign_in(page, url)
    page.route("**/approve", delay)
    approve = page.get_by_role("listitem").filter(has_text="first").get_by_role("button", name="Approve")
    with page.expect_request("**/approve"):
        approve.click()
    approve.click()
    expect(page.get_by_role("listitem")).to_have_count(2)
    (request,) = late
    thread = page.get_by_label("Thread, page or text")
    thread.focus()
    request.continue_()
    expect(page.get_by_text("The comment was approved.")).to_be_visible()
    expect(thread).to_be_focused()
    page.route("**/held*", delay)
    with page.expect_request("**/held*"):
        page.get_by_role("button", name="Pending").click()
    expect(page.get_by_role("listitem")).to_have_count(0)
    thread.fill("8")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("listitem")).to_contain_text("first")
    with page.expect_response("**/held*"):
        late[-1].continue_()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("listitem")).to_have_text("The comment was deleted.Undo")


def test_signing_in_needs_the_script(url: str, page: Page) -> None:
    page.route("**/moderate.js", lambda route: route.abort(), times=1)
    page.goto(f"{url}/moderate")
    button = page.get_by_role("button", name="Sign in")
    expect(button).to_be_disabled()
    page.reload()
    expect(button).to_be_enabled()
