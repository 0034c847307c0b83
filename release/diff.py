"""Shows what a deployment of the running image would change: `python -m release.diff STAGE`.

Exit status: 0 nothing, 1 something, 2 an error.
"""

from __future__ import annotations

import argparse

from infra.stages import REGISTRY_STACK, Stage, stage_named
from release.aws import Aws
from release.command import run_command
from release.deploy import Cdk
from release.stacks import outputs

UNCHANGED, CHANGED = 0, 1


def diff(stage: Stage) -> int:
    """Print the differences, and return whether there are any as an exit status."""
    aws = Aws.of(stage)
    running = outputs(aws.cloudformation, stage.service_stack).get("DeployedDigest")
    differs = Cdk(aws, print).differs(REGISTRY_STACK, stage.data_stack, stage.service_stack, digest=running)
    return CHANGED if differs else UNCHANGED


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release.diff", description="What would a deployment change?")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command("diff", lambda: diff(stage_named(arguments.stage)), failed=2)


if __name__ == "__main__":
    main()
