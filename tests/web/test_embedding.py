"""A site author puts threads into pages of another site, which may be as hostile as its stylesheet."""

import base64
import hashlib

import pytest
from playwright.sync_api import expect

from tests.web.actions import Thread, listed, post
from tests.web.conftest import ROOT

# Each would run, load or draw something if any of it were read as markup.
XSS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>click</a>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//evil.example>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<template><script>alert(1)</script></template>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "</li></ol></div><script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "'-alert(1)-'",
    "{{constructor.constructor('alert(1)')()}}${alert(1)}<%= alert(1) %>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#60;b&#62;",
    "\u202e<b>\u2066right to left\u2069",
    "]]><script>alert(1)</script><![CDATA[",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
)
PAPER = {"light": "rgb(255, 254, 250)", "dark": "rgb(29, 28, 26)"}


def page_with(url: str, *threads: int, head: str = "", attributes: str = "") -> str:
    tags = "".join(f'<script src="{url}/embed.js" data-content-id="{each}" {attributes}></script>' for each in threads)
    return f"<!doctype html><html lang=en><title>A magazine</title>{head}<main><h1>An article</h1>{tags}</main></html>"


@pytest.fixture
def any_origin(serve):
    return serve(COMMENTS_CORS_ORIGINS="*")


def test_a_page_of_another_site_reads_pages_on_and_posts(serve, host_site, page):
    server = serve(COMMENTS_CORS_ORIGINS="*")
    for number in range(51):
        post(server.url, f"comment {number}")
    page.goto(host_site(page_with(server.url, 1)))
    thread = Thread(page)
    thread.more.click()
    expect(thread.items).to_have_count(51)
    thread.post("from elsewhere")
    expect(thread.says("Your comment is posted.")).to_be_visible()
    assert listed(server.url)[-1] == thread.texts()[-1] == "from elsewhere"
    assert page.context.cookies() == []


def test_a_site_that_is_not_allowed_is_told_what_to_set(serve, host_site, page):
    server = serve(COMMENTS_CORS_ORIGINS="https://magazine.example")
    post(server.url, "not for you")
    origin = host_site(page_with(server.url, 1))
    with page.expect_console_message(lambda message: "COMMENTS_CORS_ORIGINS" in message.text) as hint:
        page.goto(origin)
    assert origin in hint.value.text
    expect(Thread(page).says("The comments are not here")).to_be_visible()


def test_markup_in_comments_and_emails_is_text(any_origin, host_site, page):
    for number, text in enumerate(XSS):
        post(any_origin.url, text, email=f'"><img/src/onerror=alert({number})>@x.example')
    page.goto(host_site(page_with(any_origin.url, 1)))
    thread = Thread(page)
    expect(thread.items).to_have_count(len(XSS))
    assert thread.texts() == list(XSS)
    made = page.evaluate(
        "[...document.querySelector('comment-thread').shadowRoot.querySelectorAll('li *')].map((each) => each.tagName)"
    )
    assert set(made) == {"P", "B", "TIME"}
    page.mouse.wheel(0, 10_000)


def test_the_styles_of_page_and_thread_leave_each_other_alone(any_origin, host_site, page):
    head = """<style>
      * { color: red !important; font-size: 40px !important; text-transform: uppercase }
      p, li, button, input { display: none !important }
      .soft { letter-spacing: 1em }
    </style><p class="text" id="own" style="display: block !important">the page's own</p>"""
    post(any_origin.url, "calm")
    page.goto(host_site(page_with(any_origin.url, 1, head=head)))
    text = Thread(page).box.locator(".text")
    expect(text).to_have_css("font-size", "16px")
    expect(text).to_have_css("color", "rgb(35, 33, 29)")
    expect(text).to_have_css("text-transform", "none")
    expect(page.locator("#own")).to_have_css("white-space", "normal")


def test_several_threads_of_one_page_are_each_their_own(any_origin, host_site, page):
    post(any_origin.url, "on two", content_id=2)
    page.goto(host_site(page_with(any_origin.url, 1, 2)))
    first, second = Thread(page, 0), Thread(page, 1)
    expect(second.items).to_have_count(1)
    first.post("on one")
    expect(first.says("Your comment is posted.")).to_be_visible()
    assert (first.texts(), second.texts()) == (["on one"], ["on two"])
    assert listed(any_origin.url, 1) == ["on one"]


def test_a_strict_page_needs_to_allow_nothing_inline(any_origin, host_site, page):
    policy = f"default-src 'none'; script-src {any_origin.url}; connect-src {any_origin.url}"
    post(any_origin.url, "within the rules")
    page.goto(host_site(page_with(any_origin.url, 1), Content_Security_Policy=policy))
    thread = Thread(page)
    expect(thread.items).to_have_count(1)
    expect(thread.send).to_have_css("background-color", "rgb(26, 95, 74)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_thread_follows_the_system_unless_the_page_says_otherwise(any_origin, host_site, new_page, scheme):
    page = new_page(color_scheme=scheme)
    for theme, shown in (("", scheme), ("light", "light"), ("dark", "dark")):
        attributes = f'data-theme="{theme}"' if theme else ""
        page.goto(host_site(page_with(any_origin.url, 1, attributes=attributes)))
        expect(Thread(page).box.locator(".thread")).to_have_css("background-color", PAPER[shown])


def test_a_tag_in_the_head_puts_the_thread_at_the_end_of_the_page(any_origin, host_site, page):
    tag = f'<script src="{any_origin.url}/embed.js" data-content-id="1"></script>'
    page.goto(host_site(f"<!doctype html><html lang=en><head><title>x</title>{tag}</head><body><p>text</p></body>"))
    expect(Thread(page).send).to_be_visible()
    assert page.evaluate("document.body.lastElementChild.localName") == "comment-thread"


@pytest.mark.parametrize("number", ["", 'data-content-id=""', 'data-content-id="1/../9"', 'data-content-id="zero"'])
def test_a_tag_without_a_number_says_what_is_missing(any_origin, host_site, page, number):
    tag = f'<script src="{any_origin.url}/embed.js" {number}></script>'
    page.goto(host_site(f"<!doctype html><html lang=en><title>x</title><body>{tag}</body></html>"))
    expect(Thread(page).says("This thread needs data-content-id, the number of its article.")).to_be_visible()
    expect(Thread(page).send).to_have_count(0)


def test_a_pinned_script_runs(any_origin, host_site, page):
    """`integrity` needs `crossorigin`, which needs the script's own header."""
    content = (ROOT / "app/comments/web/static/embed.js").read_bytes()
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    pinned = f'crossorigin="anonymous" integrity="sha384-{digest}"'
    page.goto(host_site(page_with(any_origin.url, 1, attributes=pinned)))
    expect(Thread(page).send).to_be_visible()
