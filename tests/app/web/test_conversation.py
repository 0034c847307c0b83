"""Readers reply to each other, and change their own comments."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests import client
from tests.app.web.actions import TOKEN, Article, Thread, axe
from tests.client import ask

AN_HOUR_AGO = "2026-11-24T08:00:00.000Z"

Stored = dict[str, Any]


@pytest.fixture
def post(article: Article) -> Callable[..., Stored]:
    """Post a comment through the API; returns it."""

    def post(comment: str, name: str = "Alice", *, token: str = "", **more: str) -> Stored:
        return client.post(article.url, comment, name=name, content_id=article.content_id, token=token, **more)

    return post


def delete(article: Article, comment: Stored) -> None:
    url = f"{article.url}/api/moderation/{article.content_id}/{comment['id']}"
    assert ask(url, "DELETE", token=TOKEN).status == 200


def outline(thread: Thread) -> list[str]:
    """Each comment or notice after a dash per level, in the order of the page."""
    script = """(items) => items.map((item) => {
      let level = 0;
      for (let list = item.parentNode; (list = list.parentNode.closest("ol")); level++);
      return "-".repeat(level) + (item.querySelector(":scope > .text") || item.firstChild).textContent;
    })"""
    found: list[str] = thread.items.evaluate_all(script)
    return found


def test_a_name_is_required_and_the_address_stays_private(article: Article) -> None:
    thread = article.open()
    thread.post("hello", name="Zoë", email="zoe@example.com")
    expect(thread.status("Your comment was posted.")).to_be_visible()
    article.page.reload()
    expect(thread.items).to_contain_text(["Zoë"])
    assert "zoe@example.com" not in thread.box.locator("ol").inner_text()
    expect(thread.items.locator(".avatar")).to_have_text("Z")
    listed = ask(f"{article.url}/api/comment/list/{article.content_id}").body
    assert [(each["name"], each.get("email")) for each in listed] == [("Zoë", None)]


def test_a_name_has_the_same_color_everywhere_and_moderators_have_a_badge(
    article: Article, post: Callable[..., Stored]
) -> None:
    for text, name, token in (("one", "Alice", ""), ("two", "Bob", TOKEN), ("three", "Alice", "")):
        post(text, name, token=token)
    thread = article.open()
    expect(thread.items).to_have_count(3)
    colors = thread.items.locator(".avatar").evaluate_all("(all) => all.map((each) => each.style.cssText)")
    assert colors[0] == colors[2] != colors[1]
    expect(thread.box.locator(".badge")).to_have_count(1)
    expect(thread.item("two")).to_contain_text("Moderator")


def test_a_reply_is_posted_by_keyboard_below_its_parent(article: Article, post: Callable[..., Stored]) -> None:
    parent = post("a question", "Bob")
    post("another question")
    thread = article.open()
    thread.name.fill("Carol")
    thread.button("Reply: Bob", "a question").focus()
    article.page.keyboard.press("Enter")
    expect(thread.comment).to_be_focused()
    expect(thread.box.get_by_text("Reply: Bob")).to_be_visible()
    assert axe(article.page) == []
    article.page.keyboard.type("an answer")
    article.page.keyboard.press("Tab")
    article.page.keyboard.press("Enter")
    expect(thread.item("an answer")).to_be_focused()
    assert outline(thread) == ["a question", "-an answer", "another question"]
    assert ask(f"{article.url}/api/comment/list/{article.content_id}").body[-1]["parent"] == parent["id"]
    expect(thread.box.get_by_role("button", name="Cancel")).to_be_hidden()
    thread.post("not a reply")
    expect(thread.items).to_have_count(4)
    assert outline(thread)[-1] == "not a reply"
    article.page.reload()
    expect(thread.items).to_have_count(4)
    assert outline(thread) == ["a question", "-an answer", "another question", "not a reply"]


def test_cancel_returns_to_the_comment_and_keeps_the_text(article: Article, post: Callable[..., Stored]) -> None:
    post("a question", "Bob")
    thread = article.open()
    reply = thread.button("Reply: Bob", "a question")
    reply.click()
    thread.comment.fill("half an answer")
    thread.box.get_by_role("button", name="Cancel").click()
    expect(reply).to_be_focused()
    expect(thread.comment).to_have_value("half an answer")


def test_replies_are_indented_three_levels_and_deeper_ones_name_whom_they_answer(
    article: Article, post: Callable[..., Stored]
) -> None:
    parent = post("0", "N0")
    for level in range(1, 7):
        parent = post(str(level), f"N{level}", parent=parent["id"])
    thread = article.open()
    expect(thread.items).to_have_count(7)
    assert outline(thread) == ["0", "-1", "--2", "---3", "---4", "---5", "---6"]
    expect(thread.item("6").locator("> .by")).to_contain_text("Reply: N5")
    expect(thread.item("3").locator("> .by")).not_to_contain_text("Reply:")
    article.page.set_viewport_size({"width": 320, "height": 640})
    assert article.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert axe(article.page) == []


def test_a_deleted_parent_is_said_in_its_place(article: Article, post: Callable[..., Stored]) -> None:
    first = post("to delete", "Bob")
    post("a reply", parent=first["id"])
    post("the end")
    delete(article, first)
    thread = article.open()
    expect(thread.items).to_have_count(3)
    assert outline(thread) == ["This comment was deleted.", "-a reply", "the end"]


def test_a_parent_on_another_page_of_the_thread_is_fetched(article: Article, post: Callable[..., Stored]) -> None:
    """Lists are sorted by id, and an imported or approved parent can have a later one than its reply."""
    parent = post("the parent", "Bob")
    post("a reply", parent=parent["id"])

    def without_parent(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=response.json()[1:])

    article.page.route("**/list/**", without_parent)
    thread = article.open()
    expect(thread.items).to_have_count(2)
    assert outline(thread) == ["the parent", "-a reply"]


def test_comments_that_reply_to_each_other_are_all_shown(article: Article) -> None:
    """No client can post them, but an import may contain them."""
    ids = [f"01a20cac-8b1e-7c9d-9d3f-00000000000{number}" for number in range(3)]
    comments = [
        {"id": ids[at], "content_id": 1, "name": "A", "comment": str(at), "created_at": AN_HOUR_AGO, "parent": parent}
        for at, parent in enumerate((ids[1], ids[0], ids[2]))
    ]
    article.page.route("**/list/**", lambda route: route.fulfill(json=comments))
    by_id = {comment["id"]: comment for comment in comments}
    article.page.route("**/comment/1/*", lambda route: route.fulfill(json=by_id[route.request.url[-36:]]))
    thread = article.open()
    expect(thread.items).to_have_count(3)
    assert sorted(thread.texts()) == ["0", "1", "2"]


def test_a_reply_to_a_comment_that_was_deleted_meanwhile_keeps_the_text(
    article: Article, post: Callable[..., Stored]
) -> None:
    parent = post("a question", "Bob")
    thread = article.open()
    thread.button("Reply: Bob", "a question").click()
    delete(article, parent)
    thread.post("an answer")
    expect(thread.status("Your comment was not posted: the comment was deleted.")).to_be_visible()
    expect(thread.comment).to_have_value("an answer")


def test_own_comments_are_edited_and_deleted_also_after_a_reload(article: Article, post: Callable[..., Stored]) -> None:
    post("of somebody else", "Bob")
    thread = article.open()
    thread.post("with a tpyo")
    expect(thread.items).to_have_count(2)
    article.page.reload()
    expect(thread.items).to_have_count(2)
    expect(thread.box.get_by_role("button", name="Edit")).to_have_count(1)
    expect(thread.box.get_by_role("button", name="Delete")).to_have_count(1)
    thread.comment.fill("a draft")
    thread.button("Edit: Alice", "with a tpyo").click()
    expect(thread.comment).to_be_focused()
    expect(thread.comment).to_have_value("with a tpyo")
    expect(thread.name).to_be_hidden()
    assert axe(article.page) == []
    thread.comment.fill("without a typo")
    thread.box.get_by_role("button", name="Save").click()
    expect(thread.status("Your comment was changed.")).to_be_visible()
    expect(thread.item("without a typo")).to_be_focused()
    expect(thread.item("without a typo")).to_contain_text("edited")
    expect(thread.name).to_be_visible()
    assert article.listed() == ["of somebody else", "without a typo"]
    article.page.once("dialog", lambda dialog: dialog.dismiss())
    thread.button("Delete: Alice", "without a typo").click()
    assert article.listed() == ["of somebody else", "without a typo"]
    article.page.once("dialog", lambda dialog: dialog.accept())
    thread.button("Delete: Alice", "without a typo").click()
    expect(thread.items.filter(has_text="This comment was deleted.")).to_be_focused()
    assert article.listed() == ["of somebody else"]


def test_the_draft_of_a_new_comment_survives_an_edit(article: Article) -> None:
    thread = article.open()
    thread.post("one")
    expect(thread.items).to_have_count(1)
    thread.comment.fill("a draft")
    thread.button("Edit: Alice", "one").click()
    thread.comment.fill("discarded")
    thread.box.get_by_role("button", name="Cancel").click()
    expect(thread.comment).to_have_value("a draft")
    assert thread.texts() == article.listed() == ["one"]


def test_an_own_comment_with_replies_leaves_a_notice(article: Article, post: Callable[..., Stored]) -> None:
    thread = article.open()
    thread.post("mine")
    expect(thread.items).to_have_count(1)
    (mine,) = ask(f"{article.url}/api/comment/list/{article.content_id}").body
    post("a reply", "Bob", parent=mine["id"])
    article.page.reload()
    expect(thread.items).to_have_count(2)
    thread.button("Reply: Alice", "mine").click()
    article.page.once("dialog", lambda dialog: dialog.accept())
    thread.button("Delete: Alice", "mine").click()
    expect(thread.items.first).to_be_focused()
    assert outline(thread) == ["This comment was deleted.", "-a reply"]
    expect(thread.send).to_be_visible()


def test_a_reply_that_was_posted_before_its_parent_was_deleted_is_shown(
    article: Article, post: Callable[..., Stored]
) -> None:
    article.page.clock.install()
    thread = article.open()
    thread.post("mine")
    expect(thread.items).to_have_count(1)
    (mine,) = ask(f"{article.url}/api/comment/list/{article.content_id}").body
    post("a reply", "Bob", parent=mine["id"])
    article.page.once("dialog", lambda dialog: dialog.accept())
    thread.button("Delete: Alice", "mine").click()
    expect(thread.items.first).to_be_focused()
    article.page.clock.fast_forward("00:31")
    expect(thread.items).to_have_count(2)
    assert outline(thread) == ["This comment was deleted.", "-a reply"]


def test_an_edit_that_the_service_rejects_says_why_and_keeps_the_text(article: Article) -> None:
    thread = article.open()
    thread.post("one")
    expect(thread.items).to_have_count(1)
    thread.button("Edit: Alice", "one").click()
    save = thread.box.get_by_role("button", name="Save")
    thread.comment.fill(" ")
    save.click()
    expect(thread.comment).to_have_accessible_description("Comment must not be empty.")
    late = {"status": "FORBIDDEN", "message": "comments can be edited for 15 minutes"}
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
    article.page.route("**/api/comment/*/*", lambda route: route.fulfill(status=403, json=late, headers=headers))
    thread.comment.fill("two")
    save.click()
    message = "Your comment was not changed: comments can be edited for 15 minutes."
    expect(thread.status(message)).to_be_visible()
    expect(thread.comment).to_have_value("two")
    article.page.once("dialog", lambda dialog: dialog.accept())
    thread.button("Delete: Alice", "one").click()
    expect(thread.item("one").locator(".actions").get_by_role("status")).to_have_text(message)


def test_own_comments_can_be_edited_for_a_quarter_of_an_hour_and_always_deleted(article: Article) -> None:
    article.page.clock.install()
    thread = article.open()
    thread.post("one")
    expect(thread.button("Edit: Alice", "one")).to_be_visible()
    article.page.clock.fast_forward("16:00")
    expect(thread.button("Edit: Alice", "one")).to_have_count(0)
    expect(thread.button("Delete: Alice", "one")).to_be_visible()


def test_own_comments_can_be_changed_where_storage_is_blocked(article: Article) -> None:
    block = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
    thread = article.open(head=f"<script>{block}</script>")
    thread.post("one")
    thread.button("Edit: Alice", "one").click()
    thread.comment.fill("two")
    thread.box.get_by_role("button", name="Save").click()
    expect(thread.status("Your comment was changed.")).to_be_visible()
    assert article.listed() == ["two"]


def test_nothing_is_stored_before_the_first_post(article: Article) -> None:
    thread = article.open()
    expect(thread.status("No comments yet.")).to_be_visible()
    assert article.page.evaluate("Object.keys(localStorage)") == []
    thread.post("one")
    expect(thread.items).to_have_count(1)
    (stored,) = article.page.evaluate("Object.values(localStorage)")
    assert "Alice" not in stored
    assert 22 <= len(json.loads(stored)["token"]) <= 128


def test_new_comments_appear_while_the_page_is_visible(article: Article, post: Callable[..., Stored]) -> None:
    first = post("one")
    article.page.clock.install()
    thread = article.open()
    expect(thread.items).to_have_count(1)
    post("a reply", "Bob", parent=first["id"])
    thread.comment.fill("typing")
    with article.page.expect_response("**/list/**"):
        article.page.clock.fast_forward(31_000)
    expect(thread.status("New comments: 1")).to_be_visible()
    assert outline(thread) == ["one", "-a reply"]
    expect(thread.comment).to_be_focused()
    expect(thread.comment).to_have_value("typing")
    requests: list[str] = []
    article.page.on("request", lambda request: requests.append(request.url))
    article.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    article.page.clock.run_for(120_000)
    assert requests == []
    article.page.evaluate("Object.defineProperty(document, 'hidden', { value: false })")
    with article.page.expect_response("**/list/**"):
        article.page.clock.fast_forward(31_000)
