"""Takes the screenshots of the README and docs/api.md again: `make test ARGS=tests/web/screenshots.py`.

Without `test_` in its name, the file only runs when it is named.
"""

from playwright.sync_api import Page, expect

from tests.app.conftest import ROOT, Server
from tests.app.web.actions import TOKEN, sign_in
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


def test_screenshots(server: Server, moderated: Server, page: Page) -> None:
    post(server.url, "first post!")
    post(server.url, "ok, now I am gonna say something more useful")
    post(server.url, "I agree", email="bob@example.com")
    for message in MESSAGES:
        post(server.url, message, content_id=9, token=TOKEN)
    post(moderated.url, "Indeed, dear Bob, I believe so as well", email="charlie@example.com")
    post(moderated.url, "<b>Nah</b>, you both are wrong", email="eve@example.com")
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
        expect(page.get_by_role("listitem").last).to_be_visible()
        page.evaluate(NAME_THE_SERVICE)
        page.screenshot(path=IMAGES / name, full_page=True, animations="disabled", caret="hide")
