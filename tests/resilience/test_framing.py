"""Where a request ends, however it is cut into pieces: too early would answer half of it, too late would hang."""

import pytest

from comments.serving.request import MOST_BODY, Request

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
REQUESTS = {
    "no body": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an empty line before": b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "length": HEAD + b"content-LENGTH: 5 \r\n\r\n12\r\n\r",
    "length zero": HEAD + b"Content-Length: 0\r\n\r\n",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\nA;name=value\r\n0\r\n\r\n01234\r\n0\r\n\r\n",
    "chunks and trailers": HEAD + b"Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nDigest: x\r\n\r\n",
}


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_request_is_whole_with_its_last_byte_and_not_before(raw, size):
    request = Request()
    for start in range(0, len(raw), size):
        assert not request.is_whole()
        request.received += raw[start : start + size]
    assert request.is_whole()
    assert request.rest() == b""


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
def test_what_follows_a_request_is_not_given_with_it(raw):
    request = Request(raw + b"GET /next")
    assert request.is_whole()
    assert b"".join(iter(lambda: request.give(10), b"")) == raw
    assert request.rest() == b"GET /next"


@pytest.mark.parametrize(
    "fields",
    [
        b"Transfer-Encoding: nonsense",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Transfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 5000,
    ],
)
def test_nobody_waits_for_the_rest_of_what_will_be_refused(fields):
    assert Request(HEAD + fields + b"\r\n\r\n").is_whole()


@pytest.mark.parametrize(
    "fields", [b"Content-Length: 9999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n"]
)
def test_a_body_is_waited_for_up_to_what_is_refused_anyway(fields):
    request = Request(HEAD + fields + b"x" * 65_536)
    assert not request.is_whole()
    request.received += b"x" * (MOST_BODY - 65_536)
    assert request.is_whole()
    assert request.closes()
