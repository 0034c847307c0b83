"""Threads that take connections from one queue, no more of them awake than there is use for."""

from collections import deque
from collections.abc import Callable
from threading import Lock, Thread

from comments.serving.loop import Connection


class Threads:
    """As many as are asked for, for as long as the process lives.

    queue.SimpleQueue wakes a thread for each request, although one thread can answer several while another wakes up:
    two switches a request, a fifteenth of a short answer. Here a thread is called, and calls the next one while
    requests are left. Whoever was busy last is called first: what it needs is still in the processor's cache.
    """

    def __init__(self, count: int, answer: Callable[[Connection], None]) -> None:
        self._waiting: deque[Connection] = deque()
        self._idle: list[Lock] = []
        self._called = False
        self._answer = answer
        for _ in range(count):
            Thread(target=self._run, daemon=True).start()

    def put(self, conn: Connection, *, stalls: bool) -> None:
        """Have a request answered; one that stalls its thread, as a commit does, gets a thread at once."""
        self._waiting.append(conn)
        if stalls or not self._called:
            self._call()

    def shutdown(self, *, wait: bool) -> None:
        """Do nothing: when gunicorn calls this, what is still under way has had its time."""

    def _call(self) -> None:
        try:
            idle = self._idle.pop()
        except IndexError:  # all are busy, and look here when they are done
            return
        self._called = True
        idle.release()

    def _run(self) -> None:
        mine = Lock()
        mine.acquire()
        while True:
            try:
                conn = self._waiting.popleft()
            except IndexError:
                self._sleep(mine)
                continue
            if self._waiting and not self._called:
                self._call()
            self._answer(conn)

    def _sleep(self, mine: Lock) -> None:
        self._idle.append(mine)
        if self._waiting:  # it came before anybody could see that this thread is idle
            self._call()
        mine.acquire()
        self._called = False
