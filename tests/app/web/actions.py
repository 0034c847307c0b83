"""Actions of users on the pages. Elements are found by role and name, as by a screen reader."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Locator, Page

from tests.app.support import ROOT
from tests.client import listed, post

TOKEN = "a-token-for-tests-only"


class Thread:
    """An embedded thread of a page."""

    def __init__(self, page: Page, index: int = 0) -> None:
        self.box = page.locator("comment-thread").nth(index)
        self.name = self.box.get_by_label("Name")
        self.email = self.box.get_by_label("Email")
        self.comment = self.box.get_by_label("Comment", exact=True)
        self.send = self.box.get_by_role("button", name="Post comment")
        self.more = self.box.get_by_role("button", name="Show more comments")
        self.retry = self.box.get_by_role("button", name="Try again")
        self.items = self.box.get_by_role("listitem")

    def post(self, comment: str, *, name: str = "Alice", email: str = "") -> None:
        self.name.fill(name)
        self.email.fill(email)
        self.comment.fill(comment)
        self.send.click()

    def status(self, text: str) -> Locator:
        return self.box.get_by_role("status").filter(has_text=text)

    def item(self, text: str) -> Locator:
        """The comment with this text, without its replies."""
        return self.items.filter(has=self.box.page.locator(f":scope > .text:text-is('{text}')"))

    def button(self, label: str, text: str) -> Locator:
        """A button of the comment with this text."""
        return self.item(text).locator("> .actions").get_by_role("button", name=label)

    def texts(self) -> list[str]:
        return self.box.locator(".text").all_text_contents()


@dataclass(frozen=True)
class Article:
    """A page of another site that embeds a thread of the service at `url`."""

    page: Page
    url: str
    content_id: int
    publish: Callable[[str, dict[str, str]], str]
    """Serve HTML with headers; returns the URL."""

    def post(self, *comments: str, email: str = "alice@example.com") -> None:
        """Post comments through the API."""
        for comment in comments:
            post(self.url, comment, email=email, content_id=self.content_id)

    def listed(self) -> list[str]:
        return listed(self.url, self.content_id)

    def tag(self, attributes: str = "") -> str:
        return f'<script src="{self.url}/embed.js" data-content-id="{self.content_id}" {attributes}></script>'

    def open(self, *tags: str, head: str = "", headers: dict[str, str] | None = None, path: str = "") -> Thread:
        """Open the page with these tags, by default with that of the thread."""
        body = f"<main><h1>An article</h1>{''.join(tags) or self.tag()}</main>"
        html = f"<!doctype html><html lang=en><head><title>A magazine</title>{head}</head><body>{body}</body></html>"
        self.page.goto(self.publish(html, headers or {}) + path)
        return Thread(self.page)


def sign_in(page: Page, url: str, token: str = TOKEN) -> None:
    page.goto(f"{url}/moderate")
    page.get_by_label("Moderator token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def axe(page: Page) -> list[str]:
    """Return the accessibility problems of a page. Swagger UI is not ours to fix."""
    page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text())
    found = page.evaluate("axe.run({ exclude: ['#swagger-ui'] })")
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found["violations"]]
