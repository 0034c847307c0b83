"""Takes the screenshots of the README and the docs again: `make test ARGS=tests/app/web/screenshots.py`.

Without `test_` in its name, the file only runs when it is named.
"""

from playwright.sync_api import Page, expect

from tests.app.support import ROOT, Server
from tests.app.web.actions import TOKEN, Article, sign_in
from tests.app.web.site import Publish
from tests.client import post

IMAGES = ROOT / "docs/images"
MESSAGES = (
    "Tonight from 10 to 11 pm comments are read-only: we are moving to a larger disk.",
    "Maintenance finished ten minutes early. Thank you for your patience.",
)
NAME_THE_SERVICE = """
for (const element of document.querySelectorAll("pre")) {
  element.textContent = element.textContent.replaceAll(location.origin, "https://comments.example");
}
"""
BLOG = """<style>
  body { max-width: 36rem; margin: 2rem auto; font: 1.05rem/1.6 system-ui, sans-serif; color: #23211d; padding: 0 1rem }
  comment-thread { margin: 2rem -1rem 0 }
</style>"""
THEME = """<style>
  html { background: #fbf3ea }
  comment-thread { --comments-paper: #fbf3ea; --comments-ink: #2b1d0e; --comments-accent: #8c2f00;
    --comments-rule: #ecdcc8; --comments-font: 1rem/1.6 Georgia, serif }
  comment-thread::part(input) { border-radius: 0; background: #fff }
  comment-thread::part(button) { border-radius: 2em }
</style>"""


def capture(page: Page, name: str) -> None:
    expect(page.get_by_role("listitem").last).to_be_visible()
    page.evaluate(NAME_THE_SERVICE)
    page.screenshot(path=IMAGES / name, full_page=True, animations="disabled", caret="hide")


def test_screenshots(server: Server, moderated: Server, page: Page) -> None:
    post(server.url, "first post!", name="Alice", content_id=1)
    useful = post(server.url, "ok, now I am gonna say something more *useful*", name="Alice", content_id=1)
    post(server.url, "I agree", name="Bob", content_id=1, parent=useful["id"])
    for message in MESSAGES:
        post(server.url, message, content_id=9, token=TOKEN)
    for name, comment in (
        ("Charlie", "Indeed, dear Bob, I believe so as well"),
        ("Eve", "<b>Nah</b>, you both are wrong"),
    ):
        post(moderated.url, comment, name=name, email=f"{name.lower()}@example.com", page="/posts/bread")
    sign_in(page, moderated.url)
    for name, url in (
        ("moderate.png", f"{moderated.url}/moderate"),
        ("status.png", f"{server.url}/status"),
        ("thread-light.png", server.url),
        ("thread-dark.png", server.url),
    ):
        page.emulate_media(color_scheme="dark" if "dark" in name else "light")
        page.set_viewport_size({"width": 800, "height": 400})  # lower than any page: no screenshot ends in empty space
        page.goto(url)
        capture(page, name)


def test_screenshots_of_an_article(server: Server, page: Page, publish: Publish) -> None:
    url, bread = server.url, "/posts/bread"
    question = "Does the dough need to rest *overnight*? The video says `2 h` at room temperature."
    asked = post(url, question, name="Alice", page=bread)
    told = post(
        url, "Overnight, in the fridge:\n> cold dough is easier to shape", name="Bob", page=bread, parent=asked["id"]
    )
    post(url, "Thank you, I will try that on Sunday.", name="Alice", page=bread, parent=told["id"])
    link = "Both work. I wrote more about it at https://bakery.example/rest"
    post(url, link, name="The baker", page=bread, parent=asked["id"], token=TOKEN)
    post(url, "Best bread I have made so far.", name="Zoë", page=bread)
    article = Article(page, server.url, 1, publish)
    tag = f'<script src="{server.url}/embed.js" data-page="/posts/bread"></script>'
    page.set_viewport_size({"width": 700, "height": 300})
    article.open("<p>Flour, water, salt, and time.</p>", tag, head=BLOG)
    capture(page, "embedding.png")
    article.open("<div lang=fr>", tag, "</div>", head=BLOG + THEME)
    capture(page, "theming.png")
