"""HTML of imported comments becomes the Markdown that the widget shows."""

import pytest

from comments.importers.markdown import MAX_HTML, from_html

SIGNATURE = "%3AiUXptXQ1sOYPoKxW4w8KQr_-twE"
"""Disqus appends one to each address."""


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p>one <b>two</b> &amp; <em>three</em></p>\n<p>four<br>  five</p>", "one **two** & *three*\n\nfour\nfive"),
        ("<code>a</code><pre><code>x  = 1\n  y</code></pre>z", "`a`\n\n```\nx  = 1\n  y\n```\n\nz"),
        ("a<blockquote>b<blockquote>c</blockquote>d", "a\n\n> b\n>\n> > c\n>\n> d"),
        ("<ul><li>a</li>\n<li>b</li></ul>", "- a\n- b"),
        ('<a href="https://x.org/a_(b)">a [b]</a>', "[a (b)](https://x.org/a_%28b%29)"),
        ('<a href="https://x.org/long/address">https://x.org/long/…</a>', "https://x.org/long/address"),
        (
            f'<a href="http://disq.us/url?url=http%3A%2F%2Fx.org%3Fa{SIGNATURE}&amp;cuid=1">http://x.o...</a>',
            "http://x.org?a",
        ),
        (f'<a href="https://disq.us/url?url=javascript%3Aalert(1){SIGNATURE}">label</a>', "label"),
        ('<a href="javascript:alert(1)">label</a> <a>b</a>', "label b"),
        ('<img src="https://x.org/a.png">', "https://x.org/a.png"),
        ("1 < 2 &lt;script&gt; <", "1 < 2 <script> <"),
        ("</blockquote></a></pre>a<blockquote><a href='https://x.org'>b</blockquote></a>c", "```\n\na\n\n> b\n\nc"),
        ("<blockquote>" * 2 + "a" + "</blockquote>" * 3 + "b", "> > a\n\nb"),
        ("<blockquote>" * 12 + "a" + "</blockquote>" * 12 + "b", "> " * 10 + "a\n\nb"),
        ("", ""),
    ],
)
def test_html_becomes_markdown(html: str, markdown: str) -> None:
    assert from_html(html) == markdown


@pytest.mark.parametrize(
    "part", ["<a ", "<!--", "<blockquote>", "<blockquote>x", "<", "</", "&", '<a href="https://x">', "\n ", "<?", "\0"]
)
def test_hostile_html_is_converted_soon_and_loses_no_text(part: str) -> None:
    assert from_html(part * (MAX_HTML // len(part) - 1) + "end").endswith("end")
