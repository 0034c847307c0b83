"""Prints the base URL of a stage, alone on stdout: `python -m release.endpoint STAGE`."""

from __future__ import annotations

import argparse

from infra.stages import stage_named
from release.aws import Aws
from release.command import run_command
from release.stacks import base_url


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.endpoint", description="Print a stage's address.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command("endpoint", lambda: print(base_url(Aws.of(stage_named(arguments.stage)))))


if __name__ == "__main__":
    main()
