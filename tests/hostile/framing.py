"""Where a request ends: smuggling, chunks, line ends, and requests that never become one."""

from tests.hostile.shapes import CLOSED, OPEN, REFUSED, Hostile, chunked, comment, framed, get, post

SMUGGLED = b"GET /api/comment/list/1?mallory HTTP/1.1\r\nHost: x\r\n\r\n"
GOOD = comment()
SIZE = b"%x" % len(GOOD)
LENGTH = b"Content-Length: %d"
TE = b"Transfer-Encoding: chunked"
WHOLE = SIZE + b"\r\n" + GOOD + b"\r\n0\r\n\r\n"

LENGTHS = [
    Hostile("CL.TE", 400, CLOSED, framed(LENGTH % 5, TE, body=b"0\r\n\r\n" + SMUGGLED)),
    Hostile("TE.CL", 400, CLOSED, framed(TE, LENGTH % 3, body=b"8\r\nSMUGGLED\r\n0\r\n\r\n")),
    Hostile(
        "CL.TE with an obscured name",
        400,
        CLOSED,
        framed(LENGTH % 5, b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    ),
    Hostile("CL.TE by an underscore", 400, OPEN, framed(LENGTH % 5, b"Transfer_Encoding: chunked", body=b"0\r\n\r\n")),
    Hostile("two lengths that differ", 400, CLOSED, framed(LENGTH % 0, LENGTH % len(SMUGGLED), body=SMUGGLED)),
    Hostile("two lengths alike", 400, CLOSED, framed(LENGTH % len(GOOD), LENGTH % len(GOOD), body=GOOD)),
    Hostile("two lengths in one field", 400, CLOSED, framed(b"Content-Length: 0, 54", body=SMUGGLED)),
    Hostile("length with a plus", 400, CLOSED, framed(b"Content-Length: +5", body=b"hello")),
    Hostile("length below zero", 400, CLOSED, framed(b"Content-Length: -1", body=b"hello")),
    Hostile("length in hexadecimal", 400, CLOSED, framed(b"Content-Length: 0x5", body=b"hello")),
    Hostile("length with an underscore", 400, CLOSED, framed(b"Content-Length: 1_0", body=b"0123456789")),
    Hostile("length of full-width digits", 400, CLOSED, framed("Content-Length: \uff15".encode(), body=b"hello")),
    Hostile("length of nothing", 400, CLOSED, framed(b"Content-Length:", body=b"hello")),
    Hostile("length with a space inside", 400, CLOSED, framed(b"Content-Length: 1 0", body=b"0123456789")),
    Hostile("length with a fraction", 400, CLOSED, framed(b"Content-Length: 5.0", body=b"hello")),
    Hostile(
        "length of twenty digits",
        413,
        CLOSED,
        framed(b"Content-Length: 18446744073709551616", body=b"hello"),
        ends=True,
    ),
    Hostile("length of 5,000 digits", 400, CLOSED, framed(b"Content-Length: " + b"9" * 5000, body=b"hello"), ends=True),
    Hostile("length longer than the body", 400, CLOSED, framed(LENGTH % 500, body=GOOD), ends=True),
    Hostile("length shorter than the body", 400, REFUSED, framed(LENGTH % 10, body=GOOD)),
    Hostile("no length, and a body all the same", 400, REFUSED, framed(body=GOOD)),
    Hostile(
        "a body on a GET is no second request",
        404,
        OPEN,
        get(b"/api/comment/list/404", LENGTH % len(SMUGGLED)) + SMUGGLED,
    ),
    Hostile("a body on an unknown path is no second request", 404, OPEN, post(SMUGGLED, target=b"/nowhere")),
    Hostile("a refused body is no second request", 400, OPEN, post(SMUGGLED)),
    Hostile("a body of another type is no second request", 415, OPEN, post(SMUGGLED, kind=b"text/plain")),
]

CODINGS = [
    Hostile("unknown coding", 400, CLOSED, framed(b"Transfer-Encoding: mallory")),
    Hostile(
        "gzip, then chunked, whose body is JSON as it is",
        200,
        CLOSED,
        framed(b"Transfer-Encoding: gzip, chunked", body=WHOLE),
    ),
    Hostile("chunked, then identity", 400, CLOSED, framed(b"Transfer-Encoding: chunked, identity", body=WHOLE)),
    Hostile("chunked twice", 400, CLOSED, framed(b"Transfer-Encoding: chunked, chunked", body=WHOLE)),
    Hostile("chunked in two fields", 400, CLOSED, framed(TE, TE, body=WHOLE)),
    Hostile("chunked in quotes", 400, CLOSED, framed(b'Transfer-Encoding: "chunked"', body=WHOLE)),
    Hostile("chunked behind a vertical tab", 400, CLOSED, framed(b"Transfer-Encoding: \x0bchunked", body=WHOLE)),
    Hostile("chunked with a parameter", 400, CLOSED, framed(b"Transfer-Encoding: chunked;q=1", body=WHOLE)),
    Hostile("chunked in HTTP/1.0", 400, CLOSED, chunked(WHOLE).replace(b"HTTP/1.1", b"HTTP/1.0")),
    Hostile("chunked in other letters", 200, OPEN, framed(b"transfer-ENCODING: CHUNKED", body=WHOLE)),
]

CHUNKS = [
    Hostile("no hexadecimal size", 400, CLOSED, chunked(b"zz\r\n" + SMUGGLED)),
    Hostile("a size below zero", 400, CLOSED, chunked(b"-1\r\n" + SMUGGLED)),
    Hostile("a size with 0x", 400, CLOSED, chunked(b"0x" + WHOLE)),
    Hostile("a size with an underscore", 400, CLOSED, chunked(b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n")),
    Hostile("a size behind a space", 400, CLOSED, chunked(b" " + WHOLE)),
    Hostile("no size", 400, CLOSED, chunked(b"\r\n" + WHOLE)),
    Hostile("a size of 20 digits", 400, CLOSED, chunked(b"f" * 20 + b"\r\n" + GOOD), ends=True),
    Hostile("a size line of 20,000 bytes", 400, CLOSED, chunked(b"0" * 20_000)),
    Hostile("a size line that never ends", 0, CLOSED, chunked(b"5"), ends=True),
    Hostile("a chunk longer than its size", 400, CLOSED, chunked(b"3\r\n" + GOOD + b"\r\n0\r\n\r\n")),
    Hostile("a chunk shorter than its size", 0, CLOSED, chunked(b"ff\r\n" + GOOD + b"\r\n0\r\n\r\n"), ends=True),
    Hostile("a chunk that ends with a bare LF", 400, CLOSED, chunked(SIZE + b"\r\n" + GOOD + b"\n0\r\n\r\n")),
    Hostile("a size that ends with a bare LF", 400, CLOSED, chunked(SIZE + b"\n" + GOOD + b"\r\n0\r\n\r\n")),
    Hostile("a size that ends with a bare CR", 400, CLOSED, chunked(SIZE + b"\r" + GOOD + b"\r\n0\r\n\r\n")),
    Hostile("no last chunk", 0, CLOSED, chunked(SIZE + b"\r\n" + GOOD + b"\r\n"), ends=True),
    Hostile(
        "chunks of more than 64 KiB",
        413,
        OPEN,
        chunked(b"8000\r\n" + b" " * 0x8000 + b"\r\n8000\r\n" + b" " * 0x8000 + b"\r\n" + WHOLE),
    ),
    Hostile("an extension", 200, OPEN, chunked(SIZE + b";name=value\r\n" + GOOD + b"\r\n0\r\n\r\n")),
    Hostile("an extension with a bare LF", 400, CLOSED, chunked(SIZE + b";a\nb\r\n" + GOOD + b"\r\n0\r\n\r\n")),
    Hostile("an extension with a bare CR", 400, CLOSED, chunked(SIZE + b";a\rb\r\n" + GOOD + b"\r\n0\r\n\r\n")),
    Hostile(
        "an extension that hides a request in quotes",
        200,
        OPEN,
        chunked(SIZE + b';a="' + SMUGGLED[:20] + b'"\r\n' + GOOD + b"\r\n0\r\n\r\n"),
    ),
    Hostile("an extension of 20,000 bytes", 400, CLOSED, chunked(SIZE + b";" + b"a" * 20_000)),
    Hostile("a trailer", 200, OPEN, chunked(WHOLE[:-2] + b"X-Trailer: 1\r\n\r\n")),
    Hostile("a trailer that sets the length", 400, CLOSED, chunked(WHOLE[:-2] + b"Content-Length: 5\r\n\r\nhello")),
    Hostile(
        "a trailer that sets the token", 400, CLOSED, chunked(WHOLE[:-2] + b"Authorization: Bearer mallory\r\n\r\n")
    ),
    Hostile("a trailer that is no field", 400, CLOSED, chunked(WHOLE[:-2] + b"mallory\r\n\r\n")),
    Hostile("a trailer that never ends", 0, CLOSED, chunked(WHOLE[:-2] + b"X-Trailer: 1\r\n"), ends=True),
]

LINES = [
    Hostile("bare LF everywhere", 0, CLOSED, b"GET / HTTP/1.1\nHost: x\n\n", ends=True),
    Hostile("bare LF in a field", 400, CLOSED, get(b"/", b"X-A: 1\nX-B: 2")),
    Hostile("bare CR in a field", 400, CLOSED, get(b"/", b"X-A: 1\rX-B: 2")),
    Hostile("NUL in a field", 400, CLOSED, get(b"/", b"X-A: 1\x002")),
    Hostile("NUL in a name", 400, CLOSED, get(b"/", b"X-\x00A: 1")),
    Hostile("ESC in a field", 400, CLOSED, get(b"/", b"X-A: \x1b[31mred")),
    Hostile("DEL in a field", 400, CLOSED, get(b"/", b"X-A: \x7f")),
    Hostile("a folded field", 400, CLOSED, get(b"/", b"X-A: 1\r\n 2")),
    Hostile("a folded length", 400, CLOSED, framed(b"Content-Length:\r\n 5", body=b"hello")),
    Hostile("a folded first field", 400, CLOSED, b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    Hostile("a space before the colon", 400, CLOSED, get(b"/", b"X-A : 1")),
    Hostile("a name of nothing", 400, CLOSED, get(b"/", b": 1")),
    Hostile("a field without a colon", 400, CLOSED, get(b"/", b"mallory")),
    Hostile("a name with a quote", 400, CLOSED, get(b"/", b'X-"mallory": 1')),
    Hostile("a name in UTF-8", 400, CLOSED, get(b"/", "X-Ä: 1".encode())),
    Hostile("two hosts", 400, CLOSED, get(b"/", b"Host: y")),
    Hostile("two types of content", 400, CLOSED, post(GOOD, b"Content-Type: text/plain")),
    Hostile("an empty line first", 200, OPEN, b"\r\n" + get(b"/healthz")),
    Hostile("nothing at all", 0, CLOSED, b"", ends=True),
    Hostile("half a request line", 0, CLOSED, b"GET / HT", ends=True),
    Hostile("fields that never end", 0, CLOSED, b"GET / HTTP/1.1\r\nHost: x\r\n", ends=True),
    Hostile(
        "the handshake of TLS",
        400,
        CLOSED,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
    ),
    Hostile(
        "the preface of HTTP/2",
        400,
        CLOSED,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ),
    Hostile(
        "an upgrade to HTTP/2",
        404,
        OPEN,
        get(
            b"/api/comment/list/404",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
    ),
    Hostile(
        "an upgrade to a web socket",
        404,
        OPEN,
        get(
            b"/api/comment/list/404",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Version: 13",
        ),
    ),
    Hostile("the PROXY protocol", 400, CLOSED, b"PROXY TCP4 6.6.6.6 127.0.0.1 1 80\r\n" + get(b"/healthz")),
    Hostile("words", 400, CLOSED, b"mallory was here\r\n\r\n"),
]
