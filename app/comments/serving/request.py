"""Where a request on the wire ends, found while it arrives."""

import re

MOST_HEAD = 64 * 1024
"""Bytes of request line and headers; AWS's balancer lets as many through."""

MOST_BODY = 66 * 1024
"""Bytes of a body that are waited for: more than the API takes, which then refuses the request."""

MOST_CHUNK_LINE = 4096

END = b"\r\n\r\n"
FRAMING = re.compile(rb"\r\n(?:content-length:[ \t]*(\d{1,18})[ \t]*(?=\r)|transfer-encoding:([^\r]*))", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
CLOSES = re.compile(rb" HTTP/1\.0\r|\r\nconnection:[^\r]*close", re.IGNORECASE)
CHUNK = re.compile(rb"([0-9a-f]{1,8})[ \t]*(?:;[^\r]*)?\r\n", re.IGNORECASE)


class Request:
    """The bytes of a request as they arrive; it looks for their end, and leaves what is malformed to gunicorn."""

    def __init__(self, received: bytes = b"") -> None:
        self.received = bytearray(received)
        self.is_endless = False
        self._searched = 0
        self._body = 0
        self._end = 0
        self._chunk = 0
        self._given = 0

    def is_whole(self) -> bool:
        """Tell whether the request has arrived to its end, or far enough to be refused."""
        if not self._body and not self._find_body():
            return self.is_endless
        if not self._end:
            self._walk_chunks()
        return 0 < self._end <= len(self.received) or (self._is_too_large() and self.waits())

    def waits(self) -> bool:
        """Tell whether the client sends its body only when it is told to."""
        return self._body == len(self.received) and EXPECTS.search(self.received) is not None

    def closes(self) -> bool:
        """Tell whether the connection ends with this request."""
        return CLOSES.search(self.received, 0, self._body) is not None or self._is_too_large()

    def give(self, size: int) -> bytes:
        """Return the next bytes of the request, none behind its end."""
        start = self._given
        self._given = min(start + size, self._end)
        return bytes(self.received[start : self._given])

    def rest(self) -> bytes:
        """Return what has arrived behind the request."""
        return bytes(self.received[self._end :])

    def _is_too_large(self) -> bool:
        return self._end - self._body >= MOST_BODY

    def _find_body(self) -> bool:
        end = self.received.find(END, max(0, self._searched - len(END)))
        self._searched = len(self.received)
        if end < 0:
            self.is_endless = self._searched > MOST_HEAD
            return False
        self._body = self._chunk = end + len(END)
        framing = FRAMING.findall(self.received, 0, self._body)
        if not framing:
            self._end = self._body
        elif framing[0][0] and len(framing) == 1:
            self._end = self._body + min(int(framing[0][0]), MOST_BODY)
        elif framing[0][1].strip().lower() != b"chunked" or len(framing) > 1:
            self._end = self._searched  # gunicorn refuses it
        return True

    def _walk_chunks(self) -> None:
        """Go on from chunk to chunk, so that each byte is looked at once."""
        arrived = len(self.received)
        while self._chunk < arrived:
            size = CHUNK.match(self.received, self._chunk)
            if size is None:
                if arrived - self._chunk > MOST_CHUNK_LINE or b"\n" in self.received[self._chunk :]:
                    self._end = arrived
                break
            if int(size[1], 16) == 0:  # behind the last one come trailers, or at once the empty line
                end = self.received.find(END, size.end() - 2)
                self._end = end + len(END) if end >= 0 else 0
                break
            self._chunk = size.end() + int(size[1], 16) + 2
        if arrived - self._body >= MOST_BODY:
            self._end = self._end or arrived
