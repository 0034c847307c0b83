"""Readers read a thread and post to it."""

from dataclasses import replace

import pytest
from playwright.sync_api import Route, expect

from tests.app.support import Server
from tests.app.web.actions import TOKEN, Article, axe
from tests.client import ask

EVERY_SITE = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
ONLY_MAGAZINE = {"Access-Control-Allow-Origin": "https://magazine.example"}


def lose_the_response(route: Route) -> None:
    route.fetch()
    route.abort()


def test_the_first_comment_replaces_the_empty_state_and_sets_no_cookies(article: Article) -> None:
    waiting: list[Route] = []
    article.page.route("**/list/**", lambda route: waiting.append(route))  # noqa: PLW0108  # not a built-in
    thread = article.open()
    expect(thread.status("Loading…")).to_be_visible()
    waiting[0].continue_()
    expect(thread.status("No comments yet.")).to_be_visible()
    thread.post("  first post!\n\nwith a second paragraph ")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    expect(thread.status("No comments yet.")).to_have_count(0)
    expect(thread.comment).to_have_value("")
    assert thread.texts() == article.listed() == ["first post!\n\nwith a second paragraph"]
    assert article.page.context.cookies() == []


def test_comments_show_what_the_service_returns_of_an_email(article: Article) -> None:
    """COMMENTS_EMAILS masks or omits addresses in responses."""
    hidden = {"id": "1", "comment": "who am I?", "created_at": "2026-11-24T08:00:00Z"}
    comments = [hidden, hidden | {"id": "2", "email": "a***@example.com"}]
    article.page.route("**/api/comment/list/**", lambda route: route.fulfill(json=comments))
    expect(article.open().items).to_contain_text(["Anonymous", "a***@example.com"])


def test_a_long_thread_loads_page_by_page(article: Article) -> None:
    comments = [f"comment {number}" for number in range(60)]
    article.post(*comments[:50])
    thread = article.open()
    expect(thread.items).to_have_count(50)
    expect(thread.more).to_be_hidden()
    article.post(*comments[50:])
    article.page.reload()
    expect(thread.items).to_have_count(50)
    thread.post("the newest")
    expect(thread.items).to_have_count(51)
    thread.more.click()
    expect(thread.items).to_have_count(61)
    expect(thread.items.nth(50)).to_be_focused()
    expect(thread.more).to_be_hidden()
    assert thread.texts() == [*comments, "the newest"]


def test_a_late_page_does_not_interrupt_typing(article: Article) -> None:
    article.post(*map(str, range(51)))
    thread = article.open()
    expect(thread.items).to_have_count(50)

    def delay(route: Route) -> None:
        thread.comment.press_sequentially("half a")
        route.continue_()

    article.page.route("**/list/**", delay)
    thread.more.click()
    expect(thread.items).to_have_count(51)
    article.page.keyboard.type(" sentence")
    expect(thread.comment).to_have_value("half a sentence")


def test_invalid_fields_show_their_errors(article: Article) -> None:
    thread = article.open()
    thread.post("", name=" ", email="alice")
    expect(thread.name).to_be_focused()
    for field, message in (
        (thread.name, "Name must not be empty."),
        (thread.email, "Email must be an address with one @, such as alice@example.com."),
        (thread.comment, "Comment must not be empty."),
    ):
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(message)
        expect(thread.box.get_by_text(message)).to_be_visible()
    thread.post("now with text")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    for field in (thread.name, thread.email, thread.comment):
        expect(field).not_to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description("")


def test_a_retry_after_a_lost_response_stores_one_comment_but_a_changed_text_is_another(article: Article) -> None:
    thread = article.open()
    article.page.route("**/api/comment/new", lose_the_response, times=1)
    thread.post("once")
    expect(thread.status("Your comment was not posted: the service is unreachable.")).to_be_visible()
    expect(thread.comment).to_have_value("once")
    thread.send.click()
    expect(thread.status("Your comment was posted.")).to_be_visible()
    assert article.listed() == thread.texts() == ["once"]
    article.page.route("**/api/comment/new", lose_the_response, times=1)
    thread.post("the first")
    expect(thread.status("the service is unreachable")).to_be_visible()
    thread.post("the second")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    assert article.listed() == ["once", "the first", "the second"]


def test_only_its_author_sees_a_pending_comment_until_it_is_published(moderated: Server, article: Article) -> None:
    article = replace(article, url=moderated.url)
    article.page.clock.install()
    thread = article.open()
    thread.post("please approve me")
    expect(thread.status("Your comment awaits approval.")).to_be_visible()
    expect(thread.comment).to_have_value("")
    expect(thread.item("please approve me")).to_contain_text("Your comment awaits approval.")
    expect(thread.button("Edit", "please approve me")).to_be_visible()
    expect(thread.button("Reply", "please approve me")).to_have_count(0)
    assert axe(article.page) == []
    assert article.listed() == []
    pending = next(
        each
        for each in ask(f"{article.url}/api/moderation/held", token=TOKEN).body
        if each["content_id"] == article.content_id
    )
    ask(f"{article.url}/api/moderation/{article.content_id}/{pending['id']}/approve", "POST", token=TOKEN)
    article.page.clock.fast_forward(31_000)
    expect(thread.button("Reply", "please approve me")).to_be_visible()
    expect(thread.items).to_have_count(1)
    expect(thread.items).not_to_contain_text("awaits approval")
    article.page.reload()
    article.page.once("dialog", lambda dialog: dialog.accept())
    thread.button("Delete: Alice", "please approve me").click()  # although the approval has changed its id
    expect(thread.items).to_have_text("This comment was deleted.")
    assert article.listed() == []


@pytest.mark.parametrize(("status", "body"), [(502, "<html>Bad Gateway"), (403, '{"error":"denied"}'), (200, "<html>")])
def test_a_response_of_a_proxy_is_an_error_and_keeps_the_text(article: Article, status: int, body: str) -> None:
    article.page.route("**/api/**", lambda route: route.fulfill(status=status, body=body, headers=EVERY_SITE))
    thread = article.open()
    expect(thread.status(f"Comments could not be loaded: the service responded with {status}.")).to_be_visible()
    thread.post("kept")
    expect(thread.status(f"Your comment was not posted: the service responded with {status}.")).to_be_visible()
    expect(thread.comment).to_have_value("kept")


def test_a_thread_that_another_site_may_not_load_names_the_setting_and_can_be_retried(article: Article) -> None:
    article.post("still there")
    article.page.route("**/list/**", lambda route: route.fulfill(json=[], headers=ONLY_MAGAZINE), times=1)
    with article.page.expect_console_message(lambda message: "COMMENTS_CORS_ORIGINS" in message.text) as warning:
        thread = article.open()
    assert article.page.url.rstrip("/") in warning.value.text
    expect(thread.status("Comments could not be loaded: the service is unreachable.")).to_be_visible()
    thread.retry.click()
    expect(thread.items.first).to_be_focused()
    assert thread.texts() == ["still there"]
    expect(thread.status("Comments could not be loaded")).to_have_count(0)


def test_a_retry_that_finds_no_comments_keeps_the_focus_in_the_thread(article: Article) -> None:
    article.page.route("**/list/**", lambda route: route.abort(), times=1)
    thread = article.open()
    thread.retry.click()
    expect(thread.status("No comments yet.")).to_be_visible()
    expect(thread.box.get_by_role("heading", name="Comments")).to_be_focused()
