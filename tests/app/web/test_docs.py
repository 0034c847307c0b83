"""The interactive API reference: Swagger UI, offline and under the page's Content-Security-Policy."""

from playwright.sync_api import Locator, Page, expect

from tests.app.support import Server
from tests.app.web.actions import TOKEN


def expand(page: Page, operation_id: str) -> Locator:
    operation = page.locator(f"[id$='-{operation_id}']")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def execute(operation: Locator) -> Locator:
    """Send the request; returns what Swagger UI shows of the response."""
    operation.get_by_role("button", name="Execute").click()
    return operation.locator(".live-responses-table")


def test_the_reference_sends_requests(moderated: Server, page: Page) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{moderated.url}/docs")
    expect(execute(expand(page, "createComment"))).to_contain_text('"HELD"')

    list_held = expand(page, "listHeld")
    expect(execute(list_held)).to_contain_text('"UNAUTHORIZED"')
    page.get_by_role("button", name="Authorize").click()
    page.locator("#auth-bearer-value").fill(TOKEN)
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    expect(execute(list_held)).to_contain_text('"first post!"')
    assert all(url.startswith((moderated.url, "data:")) for url in urls)
