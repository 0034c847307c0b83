"""The worker: it gives whole requests to threads, and refuses at once what it could not answer soon."""

import time
from collections import deque
from threading import Lock

import orjson

from comments.errors import RETRY_AFTER, error_body
from comments.server import write_error
from comments.serving.loop import Connection, Loop
from comments.serving.request import MOST_HEAD
from comments.serving.threads import Threads

WAITING = 256
"""Requests that may wait for a thread: a second's worth on a quarter of a core, a tenth of that on a whole one."""

LARGE = 64 * 1024
"""Bytes of an answer that is always sent by its thread, before it leaves the processor's cache."""

FEW = 4
"""Requests in hand, on average, below which a thread sends its answer at once; above, the loop sends many together."""

AVERAGED = 64
"""Requests that this average goes back: a pause of the machine leaves ten behind, and is no reason to send later."""

SOON = 2.0
"""Seconds that a request may have waited when a thread takes it: as long as the client is asked to stay away."""

QUICK_THREADS = 2
"""For requests that need no store, so that one which hangs takes none of them."""

HEALTH = b"GET /healthz "
"""Never refused: a balancer replaces the task that fails its checks, and the others would get its load too."""

WRITING = (b"POST ", b"DELETE ")
"""What waits for a commit: each in a thread of its own, so that they share it."""

_BODY = orjson.dumps(error_body(503, "too many requests are waiting already; try again shortly"))
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
    b"Retry-After: %d\r\nContent-Length: %d\r\n\r\n%s" % (RETRY_AFTER, len(_BODY), _BODY)
)


def needs_store(request: bytearray) -> bool:
    line = request[: request.find(b"\r")]
    return b"/api/" in line or b"/status" in line


class Worker(Loop):
    """Threads for requests to the store, two for the rest."""

    core: int | None = None
    """That its threads keep to, if they keep to any."""

    def init_process(self) -> None:
        self.turn = Lock()
        self.in_hand = 0
        self.crowd = 0.0
        self.room = self.cfg.threads + WAITING
        self.refused = 0
        self.told = 0.0
        self.answered: deque[tuple[Connection, bool]] = deque()
        self.woken = False
        self.threads = Threads(self.cfg.threads, self.answer)
        self.quick = Threads(QUICK_THREADS, self.answer)
        super().init_process()

    def get_thread_pool(self) -> Threads:  # type: ignore[override]  # gunicorn asks no more of it than to shut down
        return self.threads

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """Look after connections while no thread begins a request, or the loop waits for all of them at each call."""
        events = self.poller.select(timeout)
        with self.turn:
            for key, _ in events:
                key.data(key.fileobj)

    def turns_away(self, conn: Connection) -> bool:
        """Refuse without taking the connection out of its queue, which would cost as much as the refusal itself."""
        request = conn.sock.request
        if self.in_hand < self.room or request.closes() or request.rest() or request.received.startswith(HEALTH):
            return False
        if conn.queue is not self.keepalived_conns or conn.timeout - time.monotonic() < self.cfg.keepalive / 2:
            return False  # it is due for another place
        self.refused += 1
        conn.sock.sendall(REFUSAL)
        conn.sock.flush()
        if conn.sock.unsent:
            self.leave(conn)
            self.go_on(conn, stays=True)
        else:
            conn.sock.next_request()
        return True

    def take(self, conn: Connection) -> None:
        request = conn.sock.request
        if request.is_endless:
            write_error(conn.sock, 431, "Request Header Fields Too Large", f"more than {MOST_HEAD} bytes of headers")
            self.go_on(conn, stays=False)
        elif self.in_hand < self.room or request.received.startswith(HEALTH):
            self.in_hand += 1
            self.crowd += (self.in_hand - self.crowd) / AVERAGED
            conn.since = time.monotonic()
            threads = self.threads if needs_store(request.received) else self.quick
            threads.put(conn, stalls=request.received.startswith(WRITING))
        else:
            self.go_on(conn, stays=self.refuse(conn))

    def answer(self, conn: Connection) -> None:
        """Answer a request, in a thread, and wake the loop unless another has since it looked last."""
        with self.turn:
            pass
        try:
            stays = self.handle(conn)
        except Exception:
            self.log.exception("answering a request failed")
            stays = False
        self.answered.append((conn, stays))
        if not self.woken:
            self.woken = True
            self.method_queue.defer(self.take_back)

    def take_back(self) -> None:
        """Send what threads have answered, one after the other: by a thread each it would cost a fifth more."""
        self.woken = False  # before looking: who comes behind the last look wakes the loop again
        while self.answered:
            conn, stays = self.answered.popleft()
            self.in_hand -= 1
            self.go_on(conn, stays=stays)

    def handle(self, conn: Connection) -> bool:  # type: ignore[override]  # accept makes only these
        late = time.monotonic() - conn.since > SOON and not conn.sock.request.received.startswith(HEALTH)
        stays = self.refuse(conn) if late else super().handle(conn)
        if self.crowd < FEW or len(conn.sock.unsent) > LARGE:
            conn.sock.flush()
        return stays

    def refuse(self, conn: Connection) -> bool:
        self.refused += 1
        conn.sock.sendall(REFUSAL)
        return not conn.sock.request.closes() and not conn.sock.request.rest()

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        if self.refused and now - self.told >= 1:
            self.log.warning("refused %d requests: more wait than can be answered soon", self.refused)
            self.refused, self.told = 0, now
