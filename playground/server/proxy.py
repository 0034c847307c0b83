"""The load balancer's connections to targets: keep-alive, streamed response bodies, and no resent requests."""

import asyncio
import time
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import h11

CONNECT_SECONDS = 2.0
HOP_BY_HOP = {"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
Headers = list[tuple[str, str]]


class NotConnected(Exception):
    """The request didn't reach the target, so it may be sent to another one."""


class NoAnswer(Exception):
    """The target didn't respond (AWS: 502). It may have processed the request, so the request must not be retried."""


class TooSlow(Exception):
    """The target sent no data within the idle timeout (AWS: 504)."""


@dataclass
class Connection:
    """An HTTP/1.1 connection to a target."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_timeout: float
    protocol: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    idle_since: float = 0.0

    async def exchange(self, method: str, target: str, headers: Headers, body: bytes) -> h11.Response:
        """Send a complete request and read the response's status and headers."""
        framed = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP | {"content-length"}]
        if body or method in {"POST", "PUT", "PATCH"}:
            framed.append(("content-length", str(len(body))))
        try:
            self._send(h11.Request(method=method, target=target, headers=framed))
            if body:
                self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())
            await self.writer.drain()
            while not isinstance(event := await self._next(), h11.Response):
                if isinstance(event, h11.ConnectionClosed):
                    raise NoAnswer("closed the connection without an answer")
        except (OSError, h11.ProtocolError) as error:
            raise NoAnswer(str(error)) from error
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the response body in chunks; raises NoAnswer if the connection closes early."""
        try:
            while not isinstance(event := await self._next(), h11.EndOfMessage):
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                elif isinstance(event, h11.ConnectionClosed):
                    raise NoAnswer("broke off its answer")
        except (OSError, h11.ProtocolError) as error:
            raise NoAnswer(str(error)) from error

    @property
    def reusable(self) -> bool:
        return self.protocol.our_state is h11.DONE and self.protocol.their_state is h11.DONE

    def rest(self) -> None:
        self.protocol.start_next_cycle()
        self.idle_since = time.monotonic()

    @property
    def fresh(self) -> bool:
        """Whether a keep-alive connection can be reused: still open, and not idle for too long."""
        return not self.reader.at_eof() and time.monotonic() - self.idle_since < self.idle_timeout

    def close(self) -> None:
        self.writer.close()

    def _send(self, event: h11.Event) -> None:
        self.writer.write(self.protocol.send(event) or b"")

    async def _next(self) -> object:
        while True:
            event = self.protocol.next_event()
            if event is not h11.NEED_DATA:
                return event
            try:
                async with asyncio.timeout(self.idle_timeout):
                    self.protocol.receive_data(await self.reader.read(65536))
            except TimeoutError as error:
                raise TooSlow(f"no byte within {self.idle_timeout:g} s") from error


Address = tuple[str, int]
Kept = dict[Address, list[Connection]]
_kept: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Kept] = weakref.WeakKeyDictionary()


async def connect(address: Address, *, idle_timeout: float) -> Connection:
    """Return an idle keep-alive connection, or open a new one; raises NotConnected."""
    kept = _kept.setdefault(asyncio.get_running_loop(), {}).setdefault(address, [])
    while kept:
        connection = kept.pop()
        if connection.fresh:
            return connection
        connection.close()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(*address)
    except OSError as error:  # includes TimeoutError
        raise NotConnected(f"{address[0]}:{address[1]}: {error}") from error
    return Connection(reader, writer, idle_timeout)


def release(address: Address, connection: Connection) -> None:
    """Keep a connection for the next request, or close it if its last exchange is incomplete."""
    if not connection.reusable:
        connection.close()
        return
    connection.rest()
    _kept[asyncio.get_running_loop()].setdefault(address, []).append(connection)


def discard(address: Address) -> None:
    """Close all idle connections to a deregistered target; thread-safe."""
    for loop, kept in list(_kept.items()):
        for connection in kept.pop(address, []):
            loop.call_soon_threadsafe(connection.close)


def response_headers(response: h11.Response) -> dict[str, list[str]]:
    """Return the response headers for the client, without hop-by-hop headers."""
    headers: dict[str, list[str]] = {}
    for raw_name, raw_value in response.headers:
        name = raw_name.decode("latin-1").lower()
        if name not in HOP_BY_HOP:
            headers.setdefault(name, []).append(raw_value.decode("latin-1"))
    return headers
