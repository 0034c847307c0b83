"""The worker's threads: none is missing where one is needed, and no request is forgotten."""

import time
from queue import SimpleQueue
from threading import Barrier, Lock

import pytest

from comments.serving.threads import Threads

COUNT = 8


@pytest.mark.parametrize("stalls", [False, True])
def test_requests_that_all_wait_each_have_a_thread(stalls: bool) -> None:
    """Each waits for all others, as reads do of a store that hangs: a thread short, and nobody gets on."""
    together = Barrier(COUNT)
    met: SimpleQueue[int] = SimpleQueue()

    def answer(number: int) -> None:
        together.wait(10)
        met.put(number)

    threads = Threads(COUNT, answer)
    for round_number in range(50):
        for number in range(COUNT):
            threads.put(number, stalls=stalls)
        assert {met.get(timeout=10) for _ in range(COUNT)} == set(range(COUNT)), round_number


class Drowsy(Threads):
    """Takes its time between the last look for a request and its sleep."""

    def _sleep(self, mine: Lock) -> None:
        time.sleep(0.01)
        super()._sleep(mine)


def test_a_request_that_comes_as_the_last_thread_falls_asleep_is_not_forgotten() -> None:
    answered: SimpleQueue[int] = SimpleQueue()
    threads = Drowsy(1, answered.put)
    for number in range(10):
        threads.put(number, stalls=False)
        assert answered.get(timeout=5) == number
