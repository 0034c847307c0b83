"""counts.js in index pages of other sites."""

from playwright.sync_api import expect

from tests.app.web.actions import Article
from tests.client import post


def test_an_index_page_shows_the_number_of_comments_of_each_page(article: Article) -> None:
    pages = [f"/posts/{article.content_id}/{number}" for number in range(25)]
    for page in pages[3:5]:
        post(article.url, "hello", page=page)
    article.post("one", "two")
    links = "".join(f'<li><a href="{page}/?utm_source=index">Post <b data-comment-count>?</b></a>' for page in pages)
    more = f"""<p id=page data-comment-count data-page="{pages[3]}"></p>
      <p id=numbered data-comment-count data-content-id="{article.content_id}"></p>"""
    script = f'<script src="{article.url}/counts.js" async></script>'
    policy = f"default-src 'none'; script-src {article.url}; connect-src {article.url}"
    article.open(f"<ul>{links}</ul>{more}{script}", headers={"Content-Security-Policy": policy})
    expect(article.page.locator("#page")).to_have_text("1")
    expect(article.page.locator("#numbered")).to_have_text("2")
    expect(article.page.locator("li b")).to_have_text(["0", "0", "0", "1", "1", *["0"] * 20])


def test_long_titles_in_other_scripts_are_counted(article: Article) -> None:
    pages = [f"/{article.content_id}/{number}-{'щ' * 90}" for number in range(20)]
    post(article.url, "hello", page=pages[19])
    links = "".join(f'<li><a href="{page}">Post <b data-comment-count>?</b></a>' for page in pages)
    article.open(f'<ul>{links}</ul><script src="{article.url}/counts.js"></script>')
    expect(article.page.locator("li b")).to_have_text([*["0"] * 19, "1"])


def test_an_invalid_page_or_link_leaves_the_other_counts(article: Article) -> None:
    links = "".join(f'<li><a href="/{article.content_id}/{number}" data-comment-count>?</a>' for number in range(3))
    invalid = '<b data-comment-count data-page="nowhere">?</b><a href="http://"><b data-comment-count>?</b></a>'
    article.open(f'<ul>{links}</ul>{invalid}<script src="{article.url}/counts.js"></script>')
    expect(article.page.locator("li a")).to_have_text(["0", "0", "0"])
    expect(article.page.locator("b")).to_have_text(["?", "?"])


def test_sites_that_share_a_service_name_their_host(article: Article) -> None:
    page = f"//blog.example/{article.content_id}"
    post(article.url, "hello", page=page)
    script = f'<script src="{article.url}/counts.js" data-host="blog.example"></script>'
    article.open(f'<a href="/{article.content_id}#comments"><b data-comment-count></b></a>{script}')
    expect(article.page.locator("b")).to_have_text("1")


def test_elements_keep_their_text_if_the_service_is_unreachable(article: Article) -> None:
    article.page.route("**/counts?**", lambda route: route.abort())
    with article.page.expect_event("requestfailed"):
        article.open(f'<a href="/a" data-comment-count>Comments</a><script src="{article.url}/counts.js"></script>')
    expect(article.page.locator("a")).to_have_text("Comments")
