"""The loop of a worker: it collects requests, sends what a client does not take at once, and ends what takes too long.

gunicorn's own lets a thread read the request and send the answer, so that a few clients which send slowly or do not
read take all its threads; and closing a connection may stop its loop for two seconds.
"""

import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE

from gunicorn.workers.gthread import TConn, ThreadWorker

from comments.server import write_error
from comments.serving.client import Client

ARRIVAL = 20.0
"""Seconds from a request's first byte to its last: 64 KiB at 26 kbit/s."""

DEPARTURE = 60.0
"""Seconds in which a client has to take its answer: a page of 1 MB at 140 kbit/s."""

LINGER = 2.0
"""Seconds for a client to see that the connection ends; closed at once, it could lose the end of its answer."""

ACCEPTED = 64
"""Connections that are accepted in a row, before others are looked at."""

UNSENT = 32 * 1024 * 1024
"""Bytes of answers that clients do not take, at the most: a sixteenth of a small task's memory."""


class Connection(TConn):
    sock: Client
    timeout: float
    queue: "deque[Connection] | None" = None
    """Where it waits for its client; None while it is in a thread's hands."""
    proceed: "Callable[[Connection], None]"
    """What to do when the client has sent something, or takes something."""
    watched = 0
    """What the poller looks for: it goes on looking while a thread has the connection, which costs nothing."""
    stays = False
    since = 0.0


class Loop(ThreadWorker):
    """A connection is idle, arriving, sending or leaving, and then the loop's, or it is in a thread's hands."""

    keepalived_conns: "deque[Connection]"  # type: ignore[assignment]  # accept puts only ours there
    pending_conns: "deque[Connection]"  # type: ignore[assignment]  # accept puts only ours there

    def init_process(self) -> None:
        self.sending: deque[Connection] = deque()
        self.leaving: deque[Connection] = deque()
        super().init_process()

    def take(self, conn: Connection) -> None:
        """Do what a whole request asks for, and go on with the connection later; for a worker to say."""
        raise NotImplementedError  # Worker, the only subclass, says it

    def turns_away(self, conn: Connection) -> bool:
        """Tell whether the request has been refused already, in passing; for a worker to say."""
        raise NotImplementedError  # Worker, the only subclass, says it

    def accept(self, listener: socket.socket) -> None:
        """Take all that have come, up to a number: one for each turn of a busy loop would let the others wait."""
        for _ in range(min(ACCEPTED, self.worker_connections - self.nr_conns)):
            try:
                accepted, address = listener.accept()
            except OSError:  # nobody is left, another worker was quicker, or the client has left
                return
            self.nr_conns += 1
            conn = Connection(self.cfg, Client(accepted), address, listener.getsockname())
            conn.data_ready = True  # so that no thread waits for it
            self.go_on(conn, stays=True)

    def murder_pending(self) -> None:
        """End what takes too long; gunicorn's loop calls this at each turn, at least once a second."""
        now = time.monotonic()
        for queue in (self.pending_conns, self.sending, self.leaving):
            while queue and queue[0].timeout <= now:
                self._drop(queue[0])
        if self.nr_conns >= self.worker_connections:  # nobody else can connect: the slowest makes room
            for queue in filter(None, (self.leaving, self.pending_conns, self.sending, self.keepalived_conns)):
                self._drop(queue[0])
                break

    def is_parent_alive(self) -> bool:
        """Leave the port as soon as the master has died, so that the next one can have it at once."""
        alive = super().is_parent_alive()
        if not alive:
            self.set_accept_enabled(False)
            for listener in self.sockets:
                listener.close()
        return alive

    def go_on(self, conn: Connection, *, stays: bool) -> None:
        """Send the answer, then wait for the next request or for the end."""
        conn.stays = stays
        conn.sock.flush()
        if conn.sock.unsent:
            if sum(len(each.sock.unsent) for each in (conn, *self.sending)) > UNSENT:
                self._close(conn)
            else:
                self._wait(conn, self.sending, DEPARTURE, self._send, EVENT_WRITE)
        elif not stays:
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_WR)
            self._wait(conn, self.leaving, LINGER, self._discard)
        elif conn.sock.next_request():
            self.take(conn)
        elif conn.sock.request.received:
            self._wait(conn, self.pending_conns, ARRIVAL, self._receive)
        else:
            seconds = self.cfg.keepalive if self.alive else LINGER
            self._wait(conn, self.keepalived_conns, seconds, self._receive)

    def _is_ready(self, conn: Connection, _socket: object) -> None:
        if conn.queue is None:  # the client sends more before it has its answer: that is looked at afterwards
            self._look_for(conn, 0)
            return
        try:
            conn.proceed(conn)
        except BlockingIOError:
            return
        except OSError:  # the client has left
            self._drop(conn)

    def _receive(self, conn: Connection) -> None:
        whole = conn.sock.collect()
        if whole and not self.turns_away(conn):
            self.leave(conn)
            self.take(conn)
        elif not whole and conn.queue is not self.pending_conns:
            self.leave(conn)
            self._wait(conn, self.pending_conns, ARRIVAL, self._receive)

    def _send(self, conn: Connection) -> None:
        if conn.sock.send_rest():
            self.leave(conn)
            self.go_on(conn, stays=conn.stays)

    def _discard(self, conn: Connection) -> None:
        if conn.sock.has_ended():
            self._drop(conn)

    def _wait(
        self,
        conn: Connection,
        queue: "deque[Connection]",
        seconds: float,
        proceed: "Callable[[Connection], None]",
        events: int = EVENT_READ,
    ) -> None:
        """Proceed when there is something to read or to write; a queue's times are equal, so it is in their order."""
        conn.queue, conn.proceed = queue, proceed
        conn.timeout = time.monotonic() + seconds
        queue.append(conn)
        self._look_for(conn, events)

    def _look_for(self, conn: Connection, events: int) -> None:
        if events == conn.watched:
            return
        if not events:
            self.poller.unregister(conn.sock)
        elif conn.watched:
            self.poller.modify(conn.sock, events, partial(self._is_ready, conn))
        else:
            self.poller.register(conn.sock, events, partial(self._is_ready, conn))
        conn.watched = events

    def leave(self, conn: Connection) -> None:
        """Take a connection out of the queue that it waits in."""
        if conn.queue is not None:
            conn.queue.remove(conn)
            conn.queue = None

    def _drop(self, conn: Connection) -> None:
        if conn.queue is self.pending_conns:
            write_error(conn.sock, 408, "Request Timeout", "the request took too long to arrive")
            conn.sock.flush()
        self.leave(conn)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        self._look_for(conn, 0)
        conn.sock.close()
