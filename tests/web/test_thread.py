"""A reader reads a thread and writes to it."""

from playwright.sync_api import expect

from tests.web.actions import TOKEN, Thread, listed, post


def test_a_thread_shows_its_comments_in_order(serve, page):
    server = serve()
    for text in ("first post!", "I agree"):
        post(server.url, text)
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.items).to_have_count(2)
    assert thread.texts() == ["first post!", "I agree"]
    expect(thread.items.first).to_contain_text("alice@example.com")


def test_an_empty_thread_says_so_until_somebody_posts(serve, page):
    server = serve()
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.says("No comments yet.")).to_be_visible()
    thread.post("  first post!\n\nwith a second paragraph ")
    expect(thread.says("Your comment is posted.")).to_be_visible()
    expect(thread.says("No comments yet.")).to_have_count(0)
    expect(thread.comment).to_have_value("")
    assert thread.texts() == listed(server.url) == ["first post!\n\nwith a second paragraph"]


def test_a_long_thread_is_read_page_by_page(serve, page):
    server = serve()
    for number in range(60):
        post(server.url, f"comment {number}")
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.items).to_have_count(50)
    thread.post("the newest")
    expect(thread.items).to_have_count(51)
    thread.more.click()
    expect(thread.items).to_have_count(61)
    expect(thread.items.nth(50)).to_be_focused()
    expect(thread.more).to_have_count(0)
    assert thread.texts() == [*(f"comment {number}" for number in range(60)), "the newest"]


def test_what_the_api_refuses_stands_beside_its_field(serve, page):
    server = serve()
    page.goto(server.url)
    thread = Thread(page)
    thread.post("", email="alice")
    expect(thread.email).to_be_focused()
    for field, message in (
        (thread.email, "Email must be an address with one @, such as alice@example.com."),
        (thread.comment, "Comment must not be empty."),
    ):
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(message)
        expect(thread.box.get_by_text(message)).to_be_visible()
    thread.post("now with text", email="alice@example.com")
    expect(thread.says("Your comment is posted.")).to_be_visible()
    for field in (thread.email, thread.comment):
        expect(field).not_to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description("")


def test_a_lost_answer_keeps_the_text_and_its_retry_stores_it_once(serve, page):
    server = serve()
    page.goto(server.url)
    keys = []

    def lose_the_answer(route):
        keys.append(route.request.headers["idempotency-key"])
        route.fetch()
        route.abort()

    page.route("**/api/comment/new", lose_the_answer)
    thread = Thread(page)
    thread.post("only once")
    expect(thread.says("Not posted: the service cannot be reached. Your text is kept.")).to_be_visible()
    expect(thread.comment).to_have_value("only once")
    page.unroute("**/api/comment/new")
    with page.expect_request("**/api/comment/new") as retry:
        thread.send.click()
    expect(thread.says("Your comment is posted.")).to_be_visible()
    assert [retry.value.headers["idempotency-key"]] == keys
    assert listed(server.url) == thread.texts() == ["only once"]


def test_another_text_after_a_lost_answer_is_another_comment(serve, page):
    server = serve()
    page.goto(server.url)
    page.route("**/api/comment/new", lambda route: (route.fetch(), route.abort()))
    thread = Thread(page)
    thread.post("the first")
    expect(thread.says("cannot be reached")).to_be_visible()
    page.unroute("**/api/comment/new")
    thread.post("the second")
    expect(thread.says("Your comment is posted.")).to_be_visible()
    assert listed(server.url) == ["the first", "the second"]


def test_a_second_click_while_the_first_is_under_way_posts_nothing(serve, page):
    server = serve()
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.says("No comments yet.")).to_be_visible()
    thread.email.fill("alice@example.com")
    thread.comment.fill("once")
    posts = []
    page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
    thread.send.dblclick()
    expect(thread.says("Your comment is posted.")).to_be_visible()
    assert len(posts) == 1
    assert listed(server.url) == ["once"]


def test_a_comment_that_is_held_is_said_to_wait(serve, page):
    server = serve(COMMENTS_MODERATION="on", COMMENTS_MODERATOR_TOKEN=TOKEN)
    page.goto(server.url)
    thread = Thread(page)
    thread.post("please read me first")
    expect(thread.says("Thank you. Your comment waits for approval.")).to_be_visible()
    expect(thread.comment).to_have_value("")
    expect(thread.items).to_have_count(0)


def test_a_gateway_that_answers_html_is_no_broken_page(serve, page):
    server = serve()
    page.goto(server.url)
    thread = Thread(page)
    page.route("**/api/comment/new", lambda route: route.fulfill(status=502, body="<html>Bad Gateway"))
    thread.post("kept")
    expect(thread.says("Not posted: the service answered 502. Your text is kept.")).to_be_visible()
    expect(thread.comment).to_have_value("kept")


def test_a_thread_that_could_not_be_read_is_read_again_on_request(serve, page):
    server = serve()
    post(server.url, "still there")
    page.route("**/api/comment/list/**", lambda route: route.abort())
    page.goto(server.url)
    thread = Thread(page)
    expect(thread.says("The comments are not here: the service cannot be reached.")).to_be_visible()
    page.unroute("**/api/comment/list/**")
    thread.retry.click()
    expect(thread.items.first).to_be_focused()
    assert thread.texts() == ["still there"]
    expect(thread.says("cannot be reached")).to_have_count(0)


def test_hidden_emails_leave_no_gap(serve, page):
    server = serve(COMMENTS_EMAILS="hide")
    post(server.url, "who am I")
    page.goto(server.url)
    expect(Thread(page).items.first).to_contain_text("Anonymous")
    expect(Thread(page).items.first).not_to_contain_text("alice")
