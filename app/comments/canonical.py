"""Pages as threads: the canonical form of a page's address, and the content_id that follows from it.

Both are part of the stored data, so they never change: tests/app/data/pages.json has examples. Normalizing twice gives
the same result.
"""

import hashlib
import posixpath
import re
import unicodedata
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

_PORT = "(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
PAGE = rf"(/(?!/)|([Hh][Tt][Tt][Pp][Ss]?:)?//[A-Za-z0-9.-]+{_PORT}(?=[/?#]|$))[^\u0000-\u001f\u007f]*"
"""A path, or an http(s) URL, which may lack its scheme. Canonical forms match it, too."""

MAX_PAGE = 1000
"""Bytes of a page's address."""

FIRST_ID = 2**52
"""content_ids of pages are the upper half of all content_ids. Choose the others below, so that none is the same."""

ESCAPES = re.compile("(?:%[0-9A-Fa-f]{2})+")
KEPT = re.compile(rb"[\x00-\x1f\x7f%/?#]")
"""Bytes that stay escaped: decoded, they would mean something else."""

QUERY = ("p", "page_id")
"""Query parameters that identify a page of WordPress. All others are dropped."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def normalize(page: str) -> str:
    """Return the canonical form of an address that matches PAGE: a path, after //HOST if it was a URL."""
    url = urlsplit(page.partition("#")[0])
    path = ESCAPES.sub(_decode, re.sub("%(?![0-9A-Fa-f]{2})", "%25", url.path))
    path = unicodedata.normalize("NFC", posixpath.normpath(f"/{path}").replace("//", "/", 1) if path else "/")
    while path.endswith("/index.html"):
        path = path.removesuffix("index.html").rstrip("/") or "/"
    query = [(name, value) for name, value in sorted(parse_qsl(url.query)) if name in QUERY and value.isdecimal()]
    port = f":{url.port}" if url.port not in {None, DEFAULT_PORTS.get(url.scheme)} else ""
    host = f"//{url.hostname}{port}" if url.hostname else ""
    return host + path + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")


def thread_of(page: str) -> int:
    """Return the content_id of a page in canonical form."""
    return FIRST_ID + (int.from_bytes(hashlib.sha256(page.encode()).digest()[:7]) >> 4)


def _decode(escapes: re.Match[str]) -> str:
    """Decode a run of escapes, except those of KEPT and of bytes that are not UTF-8."""
    data = unquote_to_bytes(escapes[0])
    try:
        data.decode()
    except UnicodeDecodeError:
        return escapes[0].upper()
    return KEPT.sub(lambda byte: b"%%%02X" % byte[0][0], data).decode()
