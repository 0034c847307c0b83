"""Convert the HTML of imported comments to the Markdown that the widget shows."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

from comments.fields import MAX_COMMENT

MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`"}
BLOCKS = dict.fromkeys(("p", "div", "ul", "ol", "blockquote"), "\n\n")
START = MARKS | BLOCKS | {"pre": "\n\n```\n", "br": "\n", "li": "\n- "}
END = MARKS | BLOCKS | {"pre": "\n```\n\n"}

MAX_HTML = 5 * MAX_COMMENT
"""Characters. Longer HTML stays as it is, too long to import."""

MAX_QUOTES = 10
"""Levels of quotes. Each level takes a copy of its text; hostile comments have thousands. The widget shows three."""

REDIRECT = re.compile(r"https?://disq\.us/url\?url=([^&]+)%3A[\w-]{27}(&|$)")
"""Disqus links to this instead of the address in it, which a signature follows."""

NOT_A_TAG = re.compile("<(?!/?[A-Za-z][^<>]*>|!--[^<>]*-->)")
"""html.parser would take minutes for some texts with many of them."""


def from_html(html: str) -> str:
    """Return links, emphasis, code, quotes and paragraphs as Markdown. Other tags are dropped, but not their text."""
    if len(html) > MAX_HTML:
        return html
    converter = _Converter()
    converter.feed(NOT_A_TAG.sub("&lt;", html))
    converter.close()
    while len(converter.levels) > 1:
        converter.end_quote()
    return _tidy(converter.levels[0])


class _Converter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.levels: list[list[str]] = [[]]
        """Output, and that of each open quote."""
        self.deeper = 0
        """Open quotes beyond MAX_QUOTES, whose text belongs to the last level."""
        self.link = ("", 0)
        """Address of the open link, and where its label starts."""
        self.pre = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.write(tag, START)
        if tag == "pre":
            self.pre = True
        elif tag == "blockquote":
            self.link = ("", 0)
            if len(self.levels) > MAX_QUOTES:
                self.deeper += 1
            else:
                self.levels.append([])
        elif tag == "a":
            self.link = (values.get("href", "").strip(), len(self.levels[-1]))
        elif tag == "img":
            self.levels[-1].append(values.get("alt") or values.get("src", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "blockquote" and self.deeper:
            self.deeper -= 1
        elif tag == "blockquote":
            self.end_quote()
        elif tag == "a":
            self.end_link()
        elif tag == "pre":
            self.pre = False
        self.write(tag, END)

    def handle_data(self, data: str) -> None:
        output = self.levels[-1]
        if not self.pre:
            data = re.sub(r"\s+", " ", data)
            data = data.lstrip() if not output or output[-1].endswith("\n") else data
        output.extend([data] if data else [])

    def write(self, tag: str, texts: dict[str, str]) -> None:
        if tag in texts and not (self.pre and tag in MARKS):
            self.levels[-1].append(texts[tag])

    def end_quote(self) -> None:
        self.link = ("", 0)
        if len(self.levels) > 1 and (quoted := _tidy(self.levels.pop())):
            self.levels[-1].append("\n\n" + re.sub("(?m)^", "> ", quoted) + "\n\n")

    def end_link(self) -> None:
        (address, start), self.link = self.link, ("", 0)
        if redirect := REDIRECT.match(address):
            address = unquote(redirect[1])
        if not re.match("https?://", address):
            return
        label = " ".join("".join(self.levels[-1][start:]).split())
        address = re.sub(r"[()<>\s]", lambda found: f"%{ord(found[0]):02X}", address)
        shortened = "://" in label and address.startswith(label.rstrip(".…"))
        label = label.replace("[", "(").replace("]", ")")
        self.levels[-1][start:] = [address if shortened or not label else f"[{label}]({address})"]


def _tidy(output: list[str]) -> str:
    lines = (line.rstrip() for line in "".join(output).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
