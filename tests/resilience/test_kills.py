"""What kills the service costs nothing that it has acknowledged; `python -m bench.durability` is the long version."""

import sys

from bench.durability.processes import kill_processes
from tests.machine import needs


def test_kills_of_workers_and_masters_lose_double_and_hide_nothing(tmp_path):
    needs(sys.platform == "linux", "the workers of a master are found in /proc")
    verdict = kill_processes(tmp_path, rounds=6)
    assert verdict.holds, verdict
    assert sum(verdict.kills.values()) == 6
