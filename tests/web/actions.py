"""What a reader does with a thread, found as a screen reader finds it: by role and name."""

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page

TOKEN = "a-token-for-tests-only"


class Thread:
    """One embedded thread of a page."""

    def __init__(self, page: Page, number: int = 0) -> None:
        self.page = page
        self.box = page.locator("comment-thread").nth(number)
        self.email = self.box.get_by_label("Email")
        self.comment = self.box.get_by_label("Comment", exact=True)
        self.send = self.box.get_by_role("button", name="Post comment")
        self.more = self.box.get_by_role("button", name="Show more comments")
        self.retry = self.box.get_by_role("button", name="Try again")
        self.items: Locator = self.box.get_by_role("listitem")

    def post(self, comment: str, email: str = "alice@example.com") -> None:
        self.email.fill(email)
        self.comment.fill(comment)
        self.send.click()

    def says(self, text: str) -> Locator:
        return self.box.get_by_role("status").filter(has_text=text)

    def texts(self) -> list[str]:
        return self.box.locator(".text").all_text_contents()


def call(url: str, method: str = "GET", body: object = None, token: str = "") -> tuple[int, object]:
    address = urlsplit(url)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with closing(HTTPConnection(address.netloc, timeout=10)) as connection:
        path = address.path + (f"?{address.query}" if address.query else "")
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def post(url: str, comment: str, *, email: str = "alice@example.com", content_id: int = 1, token: str = "") -> None:
    body = {"email": email, "comment": comment, "content_id": content_id}
    status, answer = call(f"{url}/api/comment/new", "POST", body, token)
    assert status in {200, 202}, answer


def listed(url: str, content_id: int = 1) -> list[str]:
    status, found = call(f"{url}/api/comment/list/{content_id}")
    return [each["comment"] for each in found] if status == 200 else []


def open_moderation(page: Page, server: Any, token: str = TOKEN) -> None:
    """Give the moderator's page the token; a server is what has a url."""
    page.goto(f"{server.url}/moderate")
    page.get_by_label("The moderator's token").fill(token)
    page.get_by_role("button", name="Open").click()
