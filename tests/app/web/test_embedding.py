"""Threads in pages of other sites."""

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.app.support import ROOT
from tests.app.web.actions import Article, Thread, axe
from tests.client import ask, post

# Each would run a script, load a resource or add an element if it were parsed as markup.
XSS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</li></ol></div><script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "{{constructor.constructor('alert(1)')()}}${alert(1)}<%= alert(1) %>",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#60;b&#62;",
    "\u202e<b>\u2066right to left\u2069",
)
BACKGROUND = {"light": "rgb(255, 254, 250)", "dark": "rgb(29, 28, 26)"}


def test_markup_in_comments_and_emails_is_text(article: Article) -> None:
    article.post(*XSS, email='"><img/src/onerror=alert(1)>@x.example')
    thread = article.open()
    expect(thread.items).to_have_count(len(XSS))
    assert thread.texts() == list(XSS)
    elements = thread.items.locator("*").evaluate_all("(all) => all.map((each) => each.tagName)")
    assert set(elements) == {"P", "SPAN", "B", "TIME", "DIV", "BUTTON"}


def test_styles_of_page_and_thread_are_isolated(article: Article) -> None:
    article.post("calm")
    head = """<style>
      * { color: red !important; font-size: 40px !important; text-transform: uppercase }
      p, li, button, input { display: none !important }
    </style>"""
    thread = article.open('<div class="text">own text</div>', article.tag(), head=head)
    text = thread.box.locator(".text")
    expect(text).to_have_css("font-size", "16px")
    expect(text).to_have_css("color", "rgb(35, 33, 29)")
    expect(text).to_have_css("text-transform", "none")
    expect(article.page.locator("main > .text")).to_have_css("white-space", "normal")


def test_a_page_from_right_to_left_shows_dates_and_what_visitors_write_in_order(article: Article) -> None:
    """Only the service's own texts are English: screen readers and spelling checkers must not assume it of others."""
    article.post("שלום")
    thread = article.open(f"<div dir=rtl>{article.tag()}</div>")
    text, time = thread.box.locator(".text"), thread.box.locator("time")
    expect(text).to_have_css("direction", "rtl")
    for own in (time, thread.box.locator(".status").first, thread.box.locator("label").first):
        expect(own).to_have_css("direction", "ltr")
    thread.comment.fill("שלום")
    expect(thread.comment).to_have_css("direction", "rtl")
    for theirs in (text, time, thread.comment):
        expect(theirs).to_have_attribute("lang", "")


def test_threads_on_one_page_are_independent_and_a_tag_may_be_in_the_head(article: Article) -> None:
    other = replace(article, content_id=article.content_id + 1_000_000)
    other.post("on the other")
    first = article.open(article.tag(), "<p>text</p>", head=other.tag())
    second = Thread(article.page, 1)
    expect(second.items).to_have_count(1)
    first.post("on the first")
    expect(first.status("Your comment was posted.")).to_be_visible()
    assert first.texts() == article.listed() == ["on the first"]
    assert second.texts() == ["on the other"]


def test_a_tag_in_the_head_waits_for_the_end_of_the_page(article: Article) -> None:
    waiting: list[Route] = []

    def wait(route: Route) -> None:
        waiting.append(route)

    article.page.route("**/slow.js", wait)
    head = article.tag("async onload='this.dataset.hasRun = true'")
    body = "<p>first</p><script src='/slow.js'></script><p id=last>last</p>"
    url = article.publish(f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>", {})
    article.page.goto(url, wait_until="commit")
    expect(article.page.locator("script[data-has-run]")).to_be_attached()
    waiting[0].fulfill(body="")
    expect(article.page.locator("#last + comment-thread")).to_be_attached()


def test_the_theme_attribute_or_the_page_overrides_the_color_scheme(article: Article) -> None:
    for theme, declared in (("", ""), ("light", ""), ("dark", "light"), ("", "light"), ("", "light dark")):
        tag = article.tag(f'data-theme="{theme}"' if theme else "")
        thread = article.open(tag, head=f"<style>:root {{ color-scheme: {declared or 'normal'} }}</style>")
        for scheme in ("light", "dark"):
            article.page.emulate_media(color_scheme=scheme)
            expected = BACKGROUND[theme or ("light" if declared == "light" else scheme)]
            expect(thread.box.locator(".thread")).to_have_css("background-color", expected)


def test_links_from_index_pages_lead_to_the_thread(article: Article) -> None:
    article.post("at the end")
    thread = article.open("<p style='height: 300vh'>text</p>", path="/#comments")
    article.page.add_script_tag(
        content=f"""const script = document.createElement("script");
      Object.assign(script, {{ src: "{article.url}/embed.js" }}).dataset.contentId = {article.content_id};
      document.querySelector("main").append(script)"""
    )  # a script that loads late
    expect(thread.items).to_be_in_viewport()


def test_shortcuts_of_the_page_do_not_take_what_is_typed_into_the_form(article: Article) -> None:
    shortcut = "document.title = event.key; event.preventDefault()"
    thread = article.open(head=f"<script>addEventListener('keydown', (event) => {{ {shortcut} }})</script>")
    thread.comment.press_sequentially("and/or")
    expect(thread.comment).to_have_value("and/or")
    thread.comment.press("Escape")  # closes a dialog of the page
    expect(article.page).to_have_title("Escape")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ('data-content-id=""', "data-content-id must be the number of a thread."),
        ('data-content-id="1/../9"', "data-content-id must be the number of a thread."),
        ('data-page="the-page"', "page: must be a path such as /posts/hello, or an http(s) URL with a host in ASCII"),
    ],
)
def test_a_tag_with_an_invalid_attribute_explains_it(article: Article, attribute: str, message: str) -> None:
    thread = article.open(f'<script src="{article.url}/embed.js" {attribute}></script>')
    expect(thread.status(message)).to_be_visible()


def test_a_strict_policy_only_has_to_name_the_service(article: Article) -> None:
    article.post("within the policy")
    policy = f"default-src 'none'; script-src {article.url}; connect-src {article.url}"
    thread = article.open(headers={"Content-Security-Policy": policy})
    expect(thread.items).to_have_count(1)
    expect(thread.send).to_have_css("background-color", "rgb(26, 95, 74)")


def test_a_thread_continues_behind_a_proxy_with_a_path(article: Article) -> None:
    article.post(*map(str, range(51)))
    article.page.route(f"{article.url}/api/**", lambda route: route.fulfill(status=404))
    article.page.route("**/blog/**", lambda route: route.continue_(url=route.request.url.replace("/blog/", "/")))
    thread = article.open(article.tag().replace("/embed.js", "/blog/embed.js"))
    thread.more.click()
    expect(thread.items).to_have_count(51)


@pytest.mark.parametrize(
    ("path", "attributes", "head", "address"),
    [
        ("/posts/one/?utm_source=x#top", "", "", "/posts/one"),
        ("/?utm_source=x&p=12", "", "", "/?p=12"),
        ("/any", "", '<link rel=canonical href="/posts/caf%C3%A9/index.html">', "/posts/café"),
        ("/any", "", '<link rel=canonical href="https://">', "/any"),
        ("/any", "data-host", '<link rel=canonical href="https://Blog.example/a">', "//blog.example/a"),
        ("/any", 'data-host="blog.example"', "", "//blog.example/any"),
        ("/any", 'data-page="/the-page" data-host data-content-id="7"', "", "/the-page"),
        ("/any", 'data-page=""', "", "/any"),
        pytest.param(f"/{'ह' * 300}", "", "", f"/{'ह' * 300}", id="long"),
    ],
)
def test_a_page_has_its_own_thread(article: Article, path: str, attributes: str, head: str, address: str) -> None:
    tag = f'<script src="{article.url}/embed.js" {attributes}></script>'
    thread = article.open(tag, head=head, path=path)
    text = f"on {address}"
    thread.post(text)
    expect(thread.status("Your comment was posted.")).to_be_visible()
    listed = ask(f"{article.url}/api/comment/list?page={quote(address)}").body
    assert (listed[-1]["page"], listed[-1]["comment"]) == (address, text)
    article.page.reload()
    expect(thread.items.last).to_contain_text(text)


def test_the_language_is_that_of_the_page(article: Article) -> None:
    """test_pages.py shows that every translation has every text."""
    language = "pt"
    texts = json.loads((ROOT / f"app/comments/http/static/embed/{language}.json").read_text())
    article.post("one")
    headers = {"Content-Security-Policy": f"script-src {article.url}; connect-src {article.url}"}
    thread = article.open(f"<div lang={language}-XX>{article.tag()}</div>", headers=headers)
    expect(thread.box.get_by_role("heading", name=texts["title"], exact=True)).to_be_visible()
    expect(thread.box.locator(".thread")).to_have_attribute("lang", language)
    send = thread.box.get_by_role("button", name=texts["send"])
    send.click()
    expect(thread.box.locator("#name")).to_have_accessible_description(f"{texts['name']}: {texts['required']}")
    thread.box.get_by_label(texts["name"], exact=True).fill("x" * 51)
    thread.box.get_by_label(texts["comment"], exact=True).fill("two")
    send.click()
    expect(thread.box.locator("#name")).to_have_accessible_description(f"{texts['name']}: {texts['invalid']}")
    assert axe(article.page) == []
    thread.box.get_by_label(texts["name"], exact=True).fill("Alice")
    send.click()
    expect(thread.status(texts["posted"])).to_be_visible()
    assert article.listed() == ["one", "two"]


def test_a_translation_that_cannot_be_loaded_is_replaced_by_english(article: Article) -> None:
    article.page.route("**/embed/de.json", lambda route: route.abort())
    thread = article.open(f"<div lang=de>{article.tag()}</div>")
    expect(thread.send).to_be_visible()
    expect(thread.box.locator(".thread")).to_have_attribute("lang", "en")


def test_the_page_chooses_colors_fonts_and_parts(article: Article) -> None:
    article.post("calm")
    head = """<style>
      comment-thread { --comments-paper: rgb(1, 2, 3); --comments-accent: rgb(4, 5, 6); --comments-font: 20px serif }
      comment-thread::part(text) { letter-spacing: 2px }
      comment-thread::part(input) { border-radius: 0 }
    </style>"""
    thread = article.open(head=head)
    expect(thread.box.locator(".thread")).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(thread.send).to_have_css("background-color", "rgb(4, 5, 6)")
    expect(thread.box.locator(".text")).to_have_css("font-size", "20px")
    expect(thread.box.locator(".text")).to_have_css("letter-spacing", "2px")
    expect(thread.comment).to_have_css("border-radius", "0px")


def test_an_application_replaces_the_thread_as_documented(article: Article) -> None:
    (steps,) = re.findall(r"```js\n(document.querySelector.*?)```", (ROOT / "docs/embedding.md").read_text(), re.DOTALL)
    steps = f"() => {{ {steps.replace('https://comments.example.com', article.url)} }}"
    for page in (f"/first/{article.content_id}", f"/second/{article.content_id}"):
        post(article.url, page, page=page)
    article.page.clock.install()
    thread = article.open("<p>the application</p>")
    for page in (f"/first/{article.content_id}", f"/second/{article.content_id}"):
        article.page.evaluate(steps.replace("/posts/hello", page))
        expect(thread.item(page)).to_be_visible()
        expect(thread.items).to_have_count(1)
    lists: list[str] = []
    article.page.on("request", lambda request: lists.append(parse_qs(urlsplit(request.url).query)["page"][0]))
    with article.page.expect_request("**/list?**"):  # the thread is polled
        article.page.clock.fast_forward(31_000)
    assert lists == [f"/second/{article.content_id}"]


def test_a_thread_at_twice_the_text_size_needs_no_horizontal_scrolling(article: Article) -> None:
    """200 % zoom of a window of 640 pixels."""
    article.post("> a quote\n\n```\n" + "code" * 40 + "\n```", "a" * 200)
    article.page.set_viewport_size({"width": 320, "height": 480})
    thread = article.open(head="<style>html { font-size: 200% }</style>")
    expect(thread.items).to_have_count(2)
    assert article.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert axe(article.page) == []
