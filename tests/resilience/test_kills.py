"""What kills the service costs nothing that it has acknowledged; `python -m bench.durability` is the long version."""

from bench.durability.processes import kill_processes


def test_kills_of_workers_and_masters_lose_double_and_hide_nothing(tmp_path):
    verdict = kill_processes(tmp_path, rounds=6)
    assert verdict.holds, verdict
    assert sum(verdict.kills.values()) == 6
