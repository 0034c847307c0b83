"""Read exports of Disqus, WordPress, remark42, Commento and Comentario. docs/moving.md describes them."""

import html
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree
from xml.parsers.expat import ErrorString

import click

from comments.errors import InvalidRequest
from comments.importers.converter import Record
from comments.importers.markdown import from_html
from comments.strict_json import parse_json

DISQUS_ID = "{http://disqus.com/disqus-internals}id"

NEW_COMENTARIO = 3
"""`version` of its exports. Commento and the first Comentario share version 1."""

PREFIX = re.compile(rb"\A(?:\xef\xbb\xbf|[^\s<{[])?\s*(?=[<{])")
"""A byte order mark or another stray byte, and white space: XML must not start with them."""

FORMATS = {
    "isso": re.compile(rb"SQLite format 3\0"),
    "disqus": re.compile(rb"<(.*?<)?disqus[\s>]", re.DOTALL),
    "wordpress": re.compile(rb"<(.*?<)?rss[\s>]", re.DOTALL),
    "remark42": re.compile(rb'\{\s*"version"\s*:\s*\d+\s*,\s*"users"'),
    "comentario": re.compile(rb'\{\s*"version"\s*:\s*3\b'),
    "commento": re.compile(rb'\{\s*"version"\s*:'),
    "export": re.compile(rb"\{|$"),
}
"""How a file of each format begins. The first that matches is used."""


def detect(head: bytes) -> str:
    """Return the format of a file that begins with `head`, or nothing."""
    head = PREFIX.sub(b"", head, count=1)
    return next((name for name, beginning in FORMATS.items() if beginning.match(head)), "")


def disqus(data: bytes, source: str) -> Iterator[Record]:
    root = _xml(data, source, "disqus")
    threads = {each.get(DISQUS_ID): _fields(each) for each in root.iterfind("{*}thread")}
    for post in root.iterfind("{*}post"):
        parents = {_name(each): each.get(DISQUS_ID, "") for each in post if _name(each) in {"thread", "parent"}}
        fields, thread = _fields(post), threads.get(parents.get("thread"), {})
        states = {"deleted": fields.get("isDeleted"), "spam": fields.get("isSpam")}
        states["in a deleted thread"] = thread.get("isDeleted")
        yield Record(
            fields | {"id": post.get(DISQUS_ID), **parents},
            thread.get("link", ""),
            post.get(DISQUS_ID, ""),
            fields.get("createdAt", ""),
            from_html(fields.get("message", "")),
            parent=parents.get("parent", ""),
            name=html.unescape(fields.get("name", "")),
            email=fields.get("email", ""),
            skip=next((reason for reason, state in states.items() if state == "true"), ""),
        )


def wordpress(data: bytes, source: str) -> Iterator[Record]:
    for item in _xml(data, source, "rss").iter("item"):
        status = "protected" if item.findtext("{*}post_password") else (item.findtext("{*}status") or "publish").strip()
        for comment in item.iterfind("{*}comment"):
            fields = {name.removeprefix("comment_"): text for name, text in _fields(comment).items()}
            kind, state = fields.get("type", ""), fields.get("approved", "")
            created = fields.get("date_gmt", "")
            skip = {"spam": "spam", "trash": "deleted", "post-trashed": "deleted"}.get(state, "")
            if kind not in {"", "comment", "review"}:
                skip = kind  # pingback, trackback, or a private note of a shop
            elif status not in {"publish", "inherit"}:
                skip = f"in a {status} post"
            yield Record(
                fields,
                (item.findtext("link") or "").strip(),
                fields.get("id", ""),
                fields.get("date", "") if created.startswith("0000") else created,
                from_html(re.sub("\r?\n", "<br>", fields.get("content", ""))),
                parent=fields.get("parent", ""),
                name=html.unescape(fields.get("author", "")),
                email=fields.get("author_email", ""),
                held=state not in {"1", "approve"},
                skip=skip,
            )


def remark42(data: bytes, source: str) -> Iterator[Record]:
    for number, line in enumerate(data.splitlines(), 1):
        comment = _json(line, source, number)
        if number == 1 and "version" in comment:
            continue
        yield Record(
            comment,
            _text(comment, "locator", "url"),
            _text(comment, "id"),
            _text(comment, "time"),
            _text(comment, "orig") or from_html(_text(comment, "text")),
            parent=_text(comment, "pid"),
            name=html.unescape(_text(comment, "user", "name")),
            skip="deleted" if comment.get("delete") else "",
        )


def commento(data: bytes, source: str) -> Iterator[Record]:
    export = _json(data, source)
    try:
        is_new = export["version"] >= NEW_COMENTARIO
        people = {each["id" if is_new else "commenterHex"]: each for each in export["commenters"] or []}
        pages = {each["id"]: each["path"] for each in export.get("pages") or []}
        comments = [dict(each) for each in export["comments"] or []]
    except (KeyError, TypeError, ValueError) as error:
        raise click.ClickException(f"{source} is not an export of Commento or Comentario: {error!r}") from None
    for comment in comments:
        person = people.get(_text(comment, "userCreated" if is_new else "commenterHex"), {})
        if is_new:
            page = str(pages.get(_text(comment, "pageId"), ""))
            held = comment.get("isPending") is True
            skip = "" if held or comment.get("isApproved") else "rejected"
        else:
            page = _text(comment, "url") or _text(comment, "path")
            held = comment.get("state") == "unapproved"
            skip = "spam" if comment.get("state") == "flagged" else ""
        yield Record(
            comment,
            page,
            _text(comment, "id" if is_new else "commentHex"),
            _text(comment, "createdTime" if is_new else "creationDate"),
            _text(comment, "markdown") or from_html(_text(comment, "html")),
            parent=_text(comment, "parentId" if is_new else "parentHex"),
            name=_text(person, "name") or _text(comment, "authorName"),
            email=_text(person, "email"),
            held=held,
            skip="deleted" if comment.get("isDeleted" if is_new else "deleted") else skip,
        )


READERS: dict[str, Callable[[bytes, str], Iterator[Record]]] = {
    "disqus": disqus,
    "wordpress": wordpress,
    "remark42": remark42,
    "commento": commento,
    "comentario": commento,
}
"""Each takes a whole file and its name, and raises ClickException with the position if the file is not a valid one."""


def _xml(data: bytes, source: str, root: str) -> ElementTree.Element:
    prefix = PREFIX.match(data)
    start = prefix.end() if prefix else 0
    try:
        element = ElementTree.fromstring(data[start:])  # noqa: S314  # expat limits what entities expand to
    except ElementTree.ParseError as error:
        line, column = error.position
        line += data.count(b"\n", 0, start)
        message = f"line {line}, column {column + 1}: {ErrorString(error.code)}; nothing was imported"
        raise click.ClickException(f"{source}: {message}. Download the file again, or correct it") from None
    except (LookupError, ValueError) as error:
        raise click.ClickException(f"{source}: line 1: {error}; nothing was imported") from None
    if _name(element) != root:
        raise click.ClickException(f"{source}: the root element must be {root}, not {_name(element)}")
    return element


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _fields(element: ElementTree.Element) -> dict[str, str]:
    """Return the text of each element within this one."""
    return {_name(each): (each.text or "").strip() for each in element.iter()}


def _json(data: bytes, source: str, line: int = 1) -> dict[str, Any]:
    try:
        value = parse_json(PREFIX.sub(b"", data, count=1))
    except InvalidRequest as invalid:
        message = invalid.errors[0]["message"].replace(" at line 1 ", f" at line {line} ")
        raise click.ClickException(f"{source} {message}; nothing was imported") from None
    if not isinstance(value, dict):
        raise click.ClickException(f"{source}: line {line} must be a JSON object")
    return value


def _text(data: Any, *path: str) -> str:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""
