"""Prints the base URL of a stage, alone on stdout: `python -m infra.release.endpoint STAGE`."""

from __future__ import annotations

import argparse

from infra.release.aws import Aws
from infra.release.command import run_command
from infra.release.stacks import base_url
from infra.stages import stage_named


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.release.endpoint", description="Print a stage's address.")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command("endpoint", lambda: print(base_url(Aws.of(stage_named(arguments.stage)))))


if __name__ == "__main__":
    main()
