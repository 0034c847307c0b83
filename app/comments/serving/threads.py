"""Threads that take connections from one queue."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from comments.serving.loop import Connection


class Threads:
    """As many as are asked for, for as long as the process lives; futures would cost a tenth of a short answer."""

    def __init__(self, count: int, answer: Callable[[Connection], None]) -> None:
        self._queue: SimpleQueue[Connection] = SimpleQueue()
        self._answer = answer
        for _ in range(count):
            Thread(target=self._run, daemon=True).start()

    def put(self, conn: Connection) -> None:
        self._queue.put(conn)

    def shutdown(self, *, wait: bool) -> None:
        """Do nothing: when gunicorn calls this, what is still under way has had its time."""

    def _run(self) -> None:
        while True:
            self._answer(self._queue.get())
