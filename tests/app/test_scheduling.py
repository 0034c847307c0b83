"""What the kernel is told about a worker's threads; Linux alone can tell it back."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from comments.serving.scheduling import keep_to, take_turns
from tests.app.conftest import Server, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has batch scheduling")

ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def workers(server: Server) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.process.pid)], stdout=subprocess.PIPE, check=False).stdout
    return [int(pid) for pid in found.split()]


def threads(worker: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{worker}/task").iterdir()]


def cores(worker: int) -> set[int]:
    """Where any thread of the worker may run."""
    return {core for thread in threads(worker) for core in os.sched_getaffinity(thread)}


def test_no_thread_of_a_worker_takes_the_core_from_the_one_that_woke_it(serve: Callable[..., Server]) -> None:
    (worker,) = workers(serve())
    assert len(threads(worker)) > 16
    assert {os.sched_getscheduler(thread) for thread in threads(worker)} == {os.SCHED_BATCH}
    assert cores(worker) == ALL


def test_where_the_system_forbids_both_a_worker_goes_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    keep_to(0)
    take_turns()


def test_a_worker_keeps_to_one_core_and_the_one_that_takes_its_place_to_the_same(serve: Callable[..., Server]) -> None:
    server = serve(COMMENTS_CPU_AFFINITY="on", WEB_CONCURRENCY=str(len(ALL)))
    wait_until(lambda: len(workers(server)) == len(ALL), server.process)
    first, *others = workers(server)
    wait_until(lambda: all(len(cores(each)) == 1 for each in (first, *others)), server.process)
    left = cores(first)
    assert set.union(*map(cores, (first, *others))) == ALL
    os.kill(first, signal.SIGKILL)

    def replaced() -> bool:
        new = set(workers(server)) - {first, *others}
        return any(cores(each) == left for each in new)

    wait_until(replaced, server.process)
