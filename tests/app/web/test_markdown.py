"""What comments look like: a subset of Markdown, rendered as elements without losing text."""

import re

from playwright.sync_api import expect

from tests.app.web.actions import Article

RTL, LRI = "\u202e", "\u2066"

HOSTILE = {
    "brackets": "[" * 10_000,
    "links without an end": "[a](https://a" * 700,
    "parentheses in links without an end": "[a](https://a.b/(c" * 500 + "https://a.b/(" * 50,
    "one line of quotes": ">" * 5_000,
    "lines of quotes": ">\n" * 4_900 + "> end",
    "asterisks": "**a " * 2_500,
    "pairs of asterisks": "*" * 10_000,
    "a product": "2*3*4 and 2**3**4 and * a list * of items",
    "an unclosed fence": "before\n```\nafter <b>it</b>",
    "unclosed fences": "```a\n" * 2_000,
    "an info string": "```print this\ncode\n```",
    "backticks": "`" * 9_999 + "a",
    "URLs of dots": "https://" + "." * 9_000,
    "unsafe URLs": "[a](javascript:alert(1)) [b](data:text/html,x) javascript:alert(1) [c](//evil.example)",
    "markup in a link": '[<img src=x onerror=alert(1)>](https://a.example/"onmouseover="alert(1))',
    "bidi controls": f"{RTL}[{LRI}a](b) `{RTL}code` **{RTL}",
}
ONLY_LOOKS_LIKE_MARKDOWN = ("a product", "an unclosed fence", "an info string", "unsafe URLs", "asterisks", "backticks")


def visible(text: str) -> str:
    """Text without white space and without what Markdown may consume."""
    return re.sub(r"[\s>*`]", "", text)


def test_hostile_comments_are_rendered_completely(article: Article) -> None:
    article.post(*HOSTILE.values(), "the last comment")
    thread = article.open()
    expect(thread.items).to_have_count(len(HOSTILE) + 1)
    *shown, last = thread.texts()
    for (name, text), found in zip(HOSTILE.items(), shown, strict=True):
        assert visible(found) == visible(text), name
    assert last == "the last comment"
    assert thread.items.locator(".text *").evaluate_all(
        "(all) => all.every((each) => !each.href || /^https?:/.test(each.href))"
    )
    expect(thread.items.last).to_have_css("direction", "ltr")
    texts = thread.box.locator(".text")
    for number, name in enumerate(HOSTILE):
        if name in ONLY_LOOKS_LIKE_MARKDOWN:
            assert shown[number] == HOSTILE[name].strip()
            expect(texts.nth(number).locator("*")).to_have_count(0)
    quotes = [*HOSTILE].index("one line of quotes")
    expect(texts.nth(quotes).locator("blockquote")).to_have_count(3)
    assert shown[quotes] == ">" * 4_997, "quotes are nested three levels"


def test_direction_controls_end_with_the_name_or_comment_that_contains_them(article: Article) -> None:
    article.post(f"{RTL}text", f"[label{RTL}](https://a.example) after")
    thread = article.open()
    expect(thread.items).to_have_count(2)
    for isolated in (".author", ".text", "a"):
        expect(thread.box.locator(isolated).first).to_have_css("unicode-bidi", "isolate")


ELEMENTS = {
    "`a*b*`": "<code>a*b*</code>",
    "**bold *both* `c`**": "<strong>bold <em>both</em> <code>c</code></strong>",
    "say *this*, please": "say <em>this</em>, please",
    "a\n> b\n> > c\n\nd": "a<blockquote>b<blockquote>c</blockquote></blockquote>d",
    "```py\nif a:\n    *b*\n```\nend": "<pre><code>if a:\n    *b*</code></pre>end",
    "[the docs](https://a.example/b?c=1&d)": '<a href="https://a.example/b?c=1&amp;d" REL>the docs</a>',
    "(see https://a.example/b.)": '(see <a href="https://a.example/b" REL>https://a.example/b</a>.)',
    "https://a.example/b_(c)), [d](https://a.example/e_(f))": (
        '<a href="https://a.example/b_(c)" REL>https://a.example/b_(c)</a>), '
        '<a href="https://a.example/e_(f)" REL>d</a>'
    ),
    "**太字**です": "<strong>太字</strong>です",
}


def test_markdown_becomes_elements(article: Article) -> None:
    article.post(*ELEMENTS)
    thread = article.open()
    expect(thread.items).to_have_count(len(ELEMENTS))
    shown = [re.sub(r' (class|part)="[^"]*"', "", each.inner_html()) for each in thread.box.locator(".text").all()]
    assert shown == [html.replace("REL", 'rel="ugc nofollow noopener"') for html in ELEMENTS.values()]
