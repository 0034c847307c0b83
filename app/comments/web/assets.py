"""The files that browsers load: read once, each under an address that changes with its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flask import Blueprint, Response, abort, request

from comments.web.headers import protect

STATIC = Path(__file__).parent / "static"
EMBED = "embed.js"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

DAY = 24 * 60 * 60
YEAR = 365 * DAY
SHORT = 5 * 60
"""Seconds: embed.js keeps its address for ever, so a new one reaches every page within this time."""

assets = Blueprint("assets", __name__)
assets.after_request(protect)  # not on the whole service: lists would pay for it


@dataclass(frozen=True)
class Asset:
    name: str
    content: bytes
    version: str

    known: ClassVar[dict[str, "Asset"]] = {}

    @classmethod
    def load(cls, path: Path) -> "Asset":
        content = path.read_bytes()
        return cls(path.name, content, hashlib.sha256(content).hexdigest()[:16])

    @property
    def url(self) -> str:
        return f"/static/{self.name}?v={self.version}"

    def answer(self, caching: str) -> Response:
        response = Response(self.content, content_type=f"{TYPES[Path(self.name).suffix]}; charset=utf-8")
        response.headers["Cache-Control"] = caching
        response.set_etag(self.version)
        response.make_conditional(request)
        return response


ASSETS = {path.name: Asset.load(path) for path in STATIC.iterdir() if path.suffix in TYPES}


@assets.get("/embed.js")
def embed() -> Response:
    """Answer the script that sites of any origin load."""
    response = ASSETS[EMBED].answer(f"public, max-age={SHORT}, stale-while-revalidate={DAY}")
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    # Without it a site could not pin the script by its hash (`integrity`), which needs `crossorigin`.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@assets.get("/static/<name>")
def static(name: str) -> Response:
    """Answer a file of our pages, for ever where the address names this very content.

    While a deployment runs, a new page may ask an old task: what it has must not be kept under the new address.
    """
    asset = ASSETS.get(name)
    if asset is None:
        abort(404, f"there is no file {name}")
    current = request.args.get("v") == asset.version
    return asset.answer(f"public, max-age={YEAR}, immutable" if current else "no-cache")


def asset_url(name: str) -> str:
    """Return the address of a file for a template."""
    return ASSETS[name].url
