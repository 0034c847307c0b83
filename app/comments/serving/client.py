"""A client's connection as the server's threads see it: each request is whole, and no answer waits."""

import errno
import socket
from contextlib import suppress
from typing import Any

from comments.serving.request import MOST_HEAD, Request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Client(socket.socket):
    """To gunicorn's threads a socket that never blocks: it gives one whole request, and takes any answer."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self.request = Request()
        self.unsent = bytearray()

    def collect(self) -> bool:
        """Take what has arrived; True when the request is whole, or ends too early. Raises OSError between requests."""
        received = super().recv(MOST_HEAD)
        if not received and not self.request.received:
            raise ConnectionResetError(errno.ECONNRESET, "the client has closed the connection")
        if not received:
            return True
        self.request.received += received
        whole = self.request.is_whole()
        if not whole and self.request.waits():
            self.sendall(CONTINUE)
            self.flush()
        return whole

    def next_request(self) -> bool:
        """Begin another one, with what has come behind the last; True if it is whole already."""
        self.request = Request(self.request.rest())
        return self.request.is_whole()

    def send_rest(self) -> bool:
        """Send what the client takes of what is left; True when nothing is. Raises OSError when it has left."""
        del self.unsent[: self.send(self.unsent)]
        return not self.unsent

    def has_ended(self) -> bool:
        """Take and forget what the client still sends; True at the end of it."""
        try:
            return not super().recv(MOST_HEAD)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def recv(self, size: int, flags: int = 0, /) -> bytes:  # noqa: ARG002  # socket's signature
        given = self.request.give(size)
        if not given:  # gunicorn sees its end elsewhere: no answer is better than one to something else
            raise ConnectionResetError(errno.ECONNRESET, "the request ends early")
        return given

    def sendall(self, data: Any, flags: int = 0, /) -> None:  # noqa: ARG002  # socket's signature
        """Keep it until the loop sends it: gunicorn writes head and body apart, which would be two packets."""
        self.unsent += data

    def flush(self) -> None:
        """Send what the client takes at once; one that has left is found out when the rest is sent."""
        if self.unsent:
            with suppress(OSError):
                del self.unsent[: self.send(self.unsent)]

    def setblocking(self, flag: bool, /) -> None:
        """Do nothing: gunicorn asks for a blocking socket in its threads."""

    def settimeout(self, value: float | None, /) -> None:
        """Do nothing, as above."""
