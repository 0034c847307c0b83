"""`python -m bench.durability [--rounds 200]`, `python -m bench.durability --playground [--kills 50]`."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.durability.processes import kill_processes
from bench.durability.tasks import kill_tasks
from bench.durability.verdict import HEADER


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.durability")
    parser.add_argument("--rounds", type=int, default=200, help="kills of a worker, the master, or both (200)")
    parser.add_argument("--playground", action="store_true", help="kill tasks of the playground that is up instead")
    parser.add_argument("--kills", type=int, default=50, help="how many tasks (50)")
    arguments = parser.parse_args()
    if arguments.playground:
        verdict = kill_tasks(kills=arguments.kills)
    else:
        with tempfile.TemporaryDirectory() as folder:
            verdict = kill_processes(Path(folder), rounds=arguments.rounds)
    print(f"{HEADER}\n{verdict.row()}")
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
