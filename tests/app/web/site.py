"""A real browser in front of real servers. CSP violations and script errors fail the test."""

import itertools
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Request

from tests.app.web.actions import TOKEN

HERE = Path(__file__).parent
WATCH = """
addEventListener("securitypolicyviolation", (event) => report(`${event.violatedDirective}: ${event.blockedURI}`));
window.alert = () => report("markup in a comment was executed");
"""
SETTINGS = {"COMMENTS_CORS_ORIGINS": "*", "COMMENTS_MODERATOR_TOKEN": TOKEN}
Publish = Callable[[str, dict[str, str]], str]
content_ids = itertools.count(100)
interrupted: list[str] = []
"""URLs of the requests that Chromium aborted because Docker, for another test, changed a network interface."""


def record_interruption(request: Request) -> None:
    if request.failure == "net::ERR_NETWORK_CHANGED":
        interrupted.append(request.url)
