"""End-to-end browser tests of the deployed service: load balancer, containers and DynamoDB."""

import pytest
from playwright.sync_api import Page, expect

from tests.playground.conftest import Cloud
from tests.web.actions import Thread, axe, call, sign_in
from tests.web.conftest import page  # noqa: F401  # pytest fixture


class Deployed:
    """The deployed service, in place of the local server that the page fixtures expect."""

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.fixture
def server(cloud: Cloud) -> Deployed:
    return Deployed(cloud.url)


@pytest.fixture
def token(cloud: Cloud) -> str:
    secret = cloud.client("secretsmanager").get_secret_value(SecretId="comments/playground/moderator")
    return str(secret["SecretString"])


def test_a_comment_posted_through_the_load_balancer_is_stored_once(server: Deployed, cloud: Cloud, page: Page) -> None:  # noqa: F811  # imported fixture
    page.goto(server.url)
    thread = Thread(page)
    expect(page.locator("pre").first).to_contain_text(f"{server.url}/embed.js")
    page.route("**/api/comment/new", lambda route: (route.fetch(), route.abort()))
    text = "from a browser, through the balancer"
    thread.post(text)
    expect(thread.status("the service is unreachable")).to_be_visible()
    page.unroute("**/api/comment/new")
    with page.expect_response("**/api/comment/new") as answer:
        thread.send.click()
    expect(thread.status("Your comment was posted.")).to_be_visible()
    cloud.acknowledged.setdefault(1, []).append(answer.value.json()["id"])
    page.reload()
    expect(thread.items.filter(has_text=text)).to_have_count(1)
    assert axe(page) == []


def test_the_status_page_shows_the_deployed_version(server: Deployed, cloud: Cloud, page: Page) -> None:  # noqa: F811  # imported fixture
    digest = cloud.task_definition()["containerDefinitions"][0]["image"].partition("@")[2]
    status, told = call(f"{server.url}/api/status")
    assert status == 200
    assert (told["status"], told["store"]["status"]) == ("OK", "OK")
    assert (told["digest"], told["region"]) == (digest, "us-east-1")
    page.goto(f"{server.url}/status")
    expect(page.get_by_role("heading", name="Comments are available")).to_be_visible()
    expect(page.get_by_text(digest)).to_be_visible()


def test_the_moderator_deletes_a_comment_with_the_stages_secret(server: Deployed, token: str, page: Page) -> None:  # noqa: F811  # imported fixture
    body = {"email": "eve@example.com", "comment": "to be deleted", "content_id": 4712}
    assert call(f"{server.url}/api/comment/new", "POST", body)[0] == 200
    sign_in(page, server.url, token)
    page.get_by_label("Published comments in thread").fill("4712")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("button", name="Delete").last.click()
    expect(page.get_by_text("The comment was deleted.")).to_be_visible()
    assert call(f"{server.url}/api/comment/list/4712")[0] == 404
